// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace erofs_oci {

/// A file by which the daemon, which may not connect devices, asks for `erofs-oci reattach`:
/// erofs-oci-reattach.path starts that as long as the file exists, so nothing asked meanwhile is forgotten.
/// The folder belongs to the daemon's user, who may have put anything there.
class ReattachRequest {
 public:
  explicit ReattachRequest(std::filesystem::path folder = "/run/erofs-ocid") : folder_(std::move(folder)) {}

  /// Removes the file, if there is one; what is asked from here on is asked anew. Follows no link. Throws Error.
  void take() const;
  /// Whether there is one, whatever it is.
  bool exists() const;

 private:
  const std::filesystem::path folder_;
};

}  // namespace erofs_oci
