// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/range_reader.h"
#include "index/image_index.h"
#include "index/layer_merger.h"
#include "index/layer_sink.h"

namespace erofs_oci {

/// Metadata may take so much, and so much more for each member and inode; else Error unsupported.
constexpr uint64_t kMetadataAllowance = 64 * kMiB;
constexpr uint64_t kMetadataPerEntry = 4 * kKiB;

/// A layer to be indexed, and what its image says it must be; a difference refuses the index.
struct LayerInput {
  std::shared_ptr<RangeReader> blob;
  std::optional<Digest> digest;   ///< of the blob
  std::optional<Digest> diff_id;  ///< of the stream
};

/// Bytes of blobs read so far, of all; called from any of the builder's threads, one at a time.
using BuildProgress = std::function<void(uint64_t done, uint64_t total)>;

struct BuildOptions {
  uint64_t span_size = kMiB;
  unsigned threads = 1;           ///< layers read at a time
  std::filesystem::path scratch;  ///< folder for files without a name
  BuildProgress progress;         ///< may throw to give up
  LayerSinks sinks;               ///< may be empty; for an index only
};

struct ImageInput {
  std::optional<Digest> manifest;
  std::string platform;
  std::optional<uint32_t> layer;   ///< the image's only layer that is taken
  std::vector<LayerInput> layers;  ///< lowest first
};

struct BuildReport {
  Digest identity;
  uint64_t inodes = 0;
  uint64_t metadata_size = 0;
  std::vector<IndexedLayer> layers;
  std::vector<size_t> spans;         ///< of each layer
  std::vector<size_t> entry_points;  ///< likewise
  std::vector<std::string> notes;  ///< what was left out, in sentences
};

/// Reads each layer once, merges them, and writes the index to the empty file `out`, named `name` in
/// messages. On an Error `out` is no index.
BuildReport build_image_index(const ImageInput& image, const BuildOptions& options, int out,
                              const std::string& name);

/// Where the two files of a tarindex go; `zinfo` is used for gzip layers only.
struct TarindexOutput {
  int tarindex = -1;
  int zinfo = -1;
  Whiteouts whiteouts = Whiteouts::keep;
};

/// Makes of one layer what `mkfs.erofs --oci=i --gzinfo=` makes: metadata of 512-byte blocks that leads into
/// the archive as extra device 1, and a zinfo.
BuildReport build_tarindex(const LayerInput& layer, const BuildOptions& options, const TarindexOutput& out);

}  // namespace erofs_oci
