// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace erofs_oci {

/// The most files of a layout that one call may bring: a message carries 253 descriptors, and there are
/// others.
constexpr size_t kMaxLayoutFiles = 200;

/// Whether `name` is one that an OCI image layout has (image-spec, image-layout.md) and that we read:
/// "index.json", or "blobs/sha256/" and 64 lower-case hex digits. Such a name leads nowhere else.
bool is_layout_file(std::string_view name);

/// Thrown by a handler that cannot go on without more files of a layout: the caller, who may open them, calls
/// again with these as well. No Error, since nothing has gone wrong, and no context is to be added on its
/// way.
class FilesWanted : public std::exception {
 public:
  FilesWanted() = default;
  explicit FilesWanted(std::vector<std::string> wanted) : names(std::move(wanted)) {}

  const char* what() const noexcept override { return "more files of the image layout are needed"; }

  std::vector<std::string> names;
};

}  // namespace erofs_oci
