// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace erofs_oci {

/// Where an image comes from, by the prefix of the definition's `image`.
enum class ImageKind {
  registry,     ///< no prefix: a reference such as registry.example.com/team/tools:1.4
  oci,          ///< oci:/path[:tag], an OCI image layout in a folder
  oci_archive,  ///< oci-archive:/path[:tag], the same in a tar file
  tar,          ///< tar:/path, one tar file, compressed or not, that is the whole image
  file,         ///< file:/path, an EROFS image, or what tarindex and zinfo describe
};

struct ImageSource {
  ImageKind kind = ImageKind::registry;
  std::string location;            ///< the reference, or the absolute path
  std::optional<std::string> tag;  ///< of oci and oci_archive: what follows the path's first ':'

  /// Whether it lies in one local file.
  bool is_one_file() const { return kind != ImageKind::registry && kind != ImageKind::oci; }
  /// Whether the source is one blob, so that there is no layer or platform to choose.
  bool single_blob() const { return kind == ImageKind::tar || kind == ImageKind::file; }
};

/// Error invalid "must be …" where `image` is neither a known prefix with an absolute path nor looks like a
/// reference (github.com/distribution/reference, reference.go: the grammar). The host is not asked.
ImageSource parse_image_source(std::string_view image);

}  // namespace erofs_oci
