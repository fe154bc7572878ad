// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"

namespace erofs_oci {

/// The name of an image: [host[:port]/]path[:tag][@digest] (github.com/distribution/reference, reference.go).
///
/// The first component is a host where it has a '.' or ':' or is "localhost"; else the host is docker.io, on
/// which a path of one component lies under "library/".
struct Reference {
  std::string host;  ///< "registry.example.com:5000", "[::1]:5000", "docker.io"
  std::string path;  ///< "team/tools"
  std::string tag;   ///< beside a digest only a label; "latest" where neither was given, else ""
  std::optional<Digest> digest;

  /// Error invalid for what the grammar does not take, which names the part that is wrong, but not the reference.
  static Reference parse(std::string_view text);

  /// "registry.example.com/team/tools"
  std::string repository() const { return host + "/" + path; }
  /// What the manifest is asked for by: the digest where there is one, else the tag.
  std::string selector() const;

  friend bool operator==(const Reference&, const Reference&) = default;
};

/// The full form, with host, and tag or digest or both.
std::string to_string(const Reference& reference);

}  // namespace erofs_oci
