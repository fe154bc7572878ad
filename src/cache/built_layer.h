// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "cache/map_file.h"
#include "index/layer_sink.h"

namespace erofs_oci {

/// The endings of files that a build leaves for the process that writes the cache.
constexpr const char* kBuiltMap = ".map.built";
constexpr const char* kBuiltData = ".data.built";

/// Where a build of an index, in whatever process, leaves what it decodes, and how many bytes of that at
/// most.
struct CacheFill {
  std::filesystem::path folder;  ///< of the cache
  uint64_t room = 0;
};

/// A layer on its way into the cache while it is indexed: a file without a name until the layer is known to
/// be good. Its spans are not durable then; DiskCache::end_build() sees to that. Where room or the disk is
/// short, it takes what fits.
class BuiltLayer : public LayerSink {
 public:
  /// What is left for all layers of a build.
  struct Room {
    std::atomic<int64_t> bytes;
    std::atomic<bool> failed = false;  ///< the disk: nothing more is taken, and that was told
  };

  /// `room` is shared with the other layers.
  BuiltLayer(std::filesystem::path folder, std::shared_ptr<Room> room);

  void output(Bytes bytes) override;
  void end_span() override;
  void finish(const LayerScan& scan, const Digest& spans_part) override;

 private:
  bool take_room(size_t bytes);
  void stop(const char* doing, const Error& error);

  const std::filesystem::path folder_;
  const std::shared_ptr<Room> room_;
  UniqueFd data_;
  bool is_taking_ = true;
  uint64_t size_ = 0;      // of what was written
  uint64_t flushing_ = 0;  // of that, what the disk was told to begin with
  uint64_t checksum_ = 0;  // of the span at hand
  std::vector<SpanMark> marks_;
};

/// For the builder. A layer that the cache has whole is not taken again.
LayerSinks built_layers(const CacheFill& fill);

}  // namespace erofs_oci
