// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace erofs_oci::registry {

/// What an image is built for (OCI image-spec, image-index.md, platform), in the spelling of Go's GOOS and
/// GOARCH.
struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;  ///< "" is the architecture's usual one: v8 of arm64, v7 of arm, v1 of amd64

  /// Parses "os/arch[/variant]"; usual other spellings (x86_64, aarch64, armhf) are taken. Error invalid for
  /// the rest.
  static Platform parse(std::string_view text);
  /// This machine's, by uname(2).
  static Platform host();

  /// The one spelling that is compared: lower case, usual names, the usual variant left out.
  Platform normalized() const;

  /// Platforms whose programs run on this one, the best first: arm/v7 runs v7, v6 and v5, amd64/v3 runs v3,
  /// v2 and v1.
  std::vector<Platform> runs() const;

  friend bool operator==(const Platform&, const Platform&) = default;
};

/// "linux/arm/v6".
std::string to_string(const Platform& platform);

}  // namespace erofs_oci::registry
