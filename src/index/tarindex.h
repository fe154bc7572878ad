// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace erofs_oci {

/// An EROFS image of a tar archive's tree whose file data is the archive itself, as one extra device: what
/// `mkfs.erofs --tar=i` and `--oci=i` make. The kernel takes [index ‖ archive] as one device.
struct Tarindex {
  uint32_t block_size = 0;
  uint64_t metadata_size = 0;  ///< where the archive begins on the device
  uint64_t archive_size = 0;   ///< up to the last byte that the index may refer to
};

/// Reads and checks the superblock and device slot of `file`. Throws Error corrupt, naming `name`.
Tarindex open_tarindex(int file, const std::string& name);

/// A regular file of the index and where its member header must stand in the archive.
struct TarSample {
  std::string name;  ///< last component of its path
  uint64_t size = 0;
  uint64_t header_offset = 0;
  bool only_name = true;  ///< false for a hard link, whose header may bear another name
};

/// At most `count` regular files, spread over the archive. Looks at a bounded part of the tree, so it costs
/// milliseconds whatever the size of the image.
std::vector<TarSample> pick_samples(int file, const std::string& name, size_t count);

/// Throws Error corrupt unless `block`, 512 bytes of the archive at sample.header_offset, is the header of
/// that file.
void check_sample(const TarSample& sample, Bytes block);

}  // namespace erofs_oci
