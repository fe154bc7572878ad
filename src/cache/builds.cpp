// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/crc64.h"
#include "base/error.h"
#include "base/file.h"
#include "cache/built_layer.h"
#include "cache/disk_cache.h"

// What builds of indexes leave to the cache (built_layer.h).
namespace erofs_oci {

namespace fs = std::filesystem;

CacheFill DiskCache::begin_build(uint64_t bytes) {
  CacheFill fill{.folder = options_.folder};
  if (!writes() || is_paused()) return fill;
  on_writer([&] {
    const uint64_t least = std::min(bytes, options_.limit_bytes / 2);
    try {
      if (missing_for(least) != 0) evict(missing_for(least));
    } catch (const Error& error) {
      return failed(error);
    }
    fill.room = std::min(bytes, free_bytes());
    lent_ += fill.room;
    told_used_up_ = false;
  });
  return fill;
}

void DiskCache::end_build(const CacheFill& fill) {
  if (fill.room == 0) return;
  on_writer([&] {
    lent_ -= fill.room;
    told_used_up_ = false;
    std::vector<fs::path> found;
    for (const std::string& name : names_in(options_.folder)) {
      const auto layer = layer_of_file(name);
      if (layer && name.ends_with(kBuiltMap)) found.push_back(options_.folder / *layer);
    }
    for (const fs::path& base : found) take_built(base);
    measure();
  });
}

void DiskCache::take_built(const fs::path& base) {
  const fs::path map_path = base.native() + kBuiltMap;
  try {
    LayerMap map = read_map(open_file(map_path, O_RDONLY | O_NOFOLLOW).get(), map_path.native());
    const auto layer = find(map.key);
    if (map.key.file_name() == base.filename() && layer && layer->cuts() == map.cuts) {
      take_missing(*layer, map, base);
    } else if (map.key.file_name() == base.filename() && !layer) {
      map = CachedLayer::take_built(base);
      uint64_t bytes = 0;
      for (size_t span = 0; span < map.marks.size(); ++span)
        bytes += map.marks[span] ? map.cuts.span(span).length : 0;
      auto taken = std::make_shared<CachedLayer>(base, std::move(map), keeper(), /*built=*/true);
      give_back_unmarked(*taken);  // of a span that the room ended in
      {
        MutexLock lock(mutex_);
        layers_[base.filename()] = std::move(taken);
      }
      note_unsynced(bytes);
    }
  } catch (const Error& error) {
    failed(error);
  }
  ::unlink(map_path.c_str());
  ::unlink((base.native() + kBuiltData).c_str());
}

/// Of a layer that others have read, or indexed, meanwhile.
void DiskCache::take_missing(CachedLayer& layer, const LayerMap& built, const fs::path& base) {
  const std::string name = base.native() + kBuiltData;
  const UniqueFd data = open_file(name, O_RDONLY | O_NOFOLLOW);
  std::vector<std::byte> bytes;
  for (size_t span = 0; span < built.marks.size(); ++span) {
    if (!built.marks[span] || !layer.claim(span)) continue;
    const ByteRange place = built.cuts.span(span);
    bytes.resize(place.length);
    try {
      pread_exactly(data.get(), place.offset, bytes, name);
      if (crc64(bytes) != *built.marks[span])
        throw make_error(ErrorKind::corrupt, "{}: differs from its checksum", name);
    } catch (const Error&) {
      layer.abandon(span);
      throw;
    }
    write(layer, span, bytes);
  }
}

}  // namespace erofs_oci
