// SPDX-License-Identifier: Apache-2.0
#include "registry/descriptor.h"

#include <array>

#include "base/bytes.h"
#include "base/error.h"

namespace erofs_oci::registry {

LayerFormat layer_format(std::string_view type) {
  struct Known {
    std::string_view type;
    LayerFormat format;
  };
  static constexpr std::array<Known, 12> kKnown{{
      {"application/vnd.oci.image.layer.v1.tar", LayerFormat::tar},
      {"application/vnd.oci.image.layer.v1.tar+gzip", LayerFormat::tar_gzip},
      {"application/vnd.oci.image.layer.v1.tar+zstd", LayerFormat::tar_zstd},
      {"application/vnd.oci.image.layer.nondistributable.v1.tar", LayerFormat::tar},
      {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", LayerFormat::tar_gzip},
      {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", LayerFormat::tar_zstd},
      {"application/vnd.docker.image.rootfs.diff.tar", LayerFormat::tar},
      {"application/vnd.docker.image.rootfs.diff.tar.gzip", LayerFormat::tar_gzip},
      {"application/vnd.docker.image.rootfs.diff.tar.zstd", LayerFormat::tar_zstd},
      {"application/vnd.docker.image.rootfs.foreign.diff.tar", LayerFormat::tar},
      {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", LayerFormat::tar_gzip},
      {"application/vnd.erofs.layer.v1", LayerFormat::erofs},
  }};
  for (const Known& known : kKnown) {
    if (type == known.type) return known.format;
  }
  return type.ends_with(".erofs") ? LayerFormat::erofs : LayerFormat::unknown;
}

std::string_view to_string(LayerFormat format) {
  switch (format) {
    case LayerFormat::tar:
      return "tar";
    case LayerFormat::tar_gzip:
      return "tar+gzip";
    case LayerFormat::tar_zstd:
      return "tar+zstd";
    case LayerFormat::erofs:
      return "erofs";
    case LayerFormat::unknown:
      break;
  }
  return "unknown";
}

void verify(const Descriptor& descriptor, std::string_view content, std::string_view what) {
  if (content.size() != descriptor.size_bytes) {
    throw make_error(ErrorKind::corrupt, "{}: {} bytes came, its descriptor says {}", what, content.size(),
                     descriptor.size_bytes);
  }
  const Digest digest = sha256(as_bytes(content));
  if (digest != descriptor.digest) {
    throw make_error(ErrorKind::corrupt, "{}: its SHA-256 is {}, {} was asked for", what, digest.hex(),
                     descriptor.digest.hex());
  }
}

}  // namespace erofs_oci::registry
