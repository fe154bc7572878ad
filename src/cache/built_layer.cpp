// SPDX-License-Identifier: Apache-2.0
#include "cache/built_layer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/crc64.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/proc_path.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kMode = 0600;
/// So much is handed to the disk at a time, so that little is left to be synced at the end.
constexpr uint64_t kFlush = 32 * kMiB;

/// Gives a nameless file its name, not durably: what a crash leaves of it is dropped at the next start.
void give_name(int file, const fs::path& path) {
  ::unlink(path.c_str());
  if (::linkat(AT_FDCWD, proc_path(file).c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0)
    throw errno_error("{}: link", path.native());
}

SpanCuts cuts_of(const LayerScan& scan) {
  SpanCuts cuts{.starts = {}, .stream_size = scan.stream_size};
  cuts.starts.reserve(scan.spans.size());
  for (const ScannedSpan& span : scan.spans) cuts.starts.push_back(span.out);
  return cuts;
}

bool is_whole(const fs::path& map) {
  try {
    const LayerMap read = read_map(open_file(map, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).get(), map.native());
    return read.key.kind == TableKind::index &&
           std::ranges::all_of(read.marks, [](const SpanMark& mark) { return mark.has_value(); });
  } catch (const Error&) {
    return false;  // who writes the cache says what is wrong with it
  }
}

bool has_whole(const fs::path& folder, const Digest& layer) {
  const std::string prefix = layer.hex() + "-";
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.starts_with(prefix) && name.ends_with(".map") && is_whole(entry->path())) return true;
  }
  return false;
}

}  // namespace

BuiltLayer::BuiltLayer(fs::path folder, std::shared_ptr<Room> room)
    : folder_(std::move(folder)), room_(std::move(room)) {
  try {
    data_ = nameless_file(folder_, kMode);
  } catch (const Error& error) {
    stop("caching what an index is built of", error);
  }
}

/// One warning a build.
void BuiltLayer::stop(const char* doing, const Error& error) {
  if (!room_->failed.exchange(true)) logf(LogLevel::warning, "{}: {}; going on without", doing, error.what());
  is_taking_ = false;
  data_.reset();
}

bool BuiltLayer::take_room(size_t bytes) {
  const auto size = static_cast<int64_t>(bytes);
  return !room_->failed && room_->bytes.fetch_sub(size) >= size;
}

void BuiltLayer::output(Bytes bytes) {
  is_taking_ = is_taking_ && take_room(bytes.size());
  if (!is_taking_) return;
  try {
    pwrite_all(data_.get(), size_, bytes, folder_.native());
  } catch (const Error& error) {
    return stop("caching what an index is built of", error);
  }
  size_ += bytes.size();
  checksum_ = crc64(bytes, checksum_);
  if (size_ - flushing_ < kFlush) return;
  ::sync_file_range(data_.get(), static_cast<off_t>(flushing_), static_cast<off_t>(size_ - flushing_),
                    SYNC_FILE_RANGE_WRITE);
  flushing_ = size_;
}

void BuiltLayer::end_span() {
  if (is_taking_) marks_.emplace_back(checksum_);
  checksum_ = 0;
}

void BuiltLayer::finish(const LayerScan& scan, const Digest& spans_part) {
  const SpanCuts cuts = cuts_of(scan);
  if (!data_ || marks_.empty() || cuts.count() == 0 || !is_cacheable(cuts)) return;
  marks_.resize(cuts.count());
  const LayerKey key = LayerKey::of_index(scan.blob_digest, spans_part);
  const std::string base = folder_ / key.file_name();
  try {
    if (::ftruncate(data_.get(), static_cast<off_t>(cuts.stream_size)) != 0) throw errno_error("{}", base);
    const UniqueFd map = nameless_file(folder_, kMode);
    write_map(map.get(), key, cuts, base);
    for (size_t span = 0; span < marks_.size(); ++span) write_mark(map.get(), cuts, span, marks_[span], base);
    give_name(data_.get(), base + kBuiltData);
    give_name(map.get(), base + kBuiltMap);  // last: it says that the data is there
  } catch (const Error& error) {
    stop("caching what an index was built of", error);
  }
}

LayerSinks built_layers(const CacheFill& fill) {
  const auto room = std::make_shared<BuiltLayer::Room>(static_cast<int64_t>(fill.room));
  return [folder = fill.folder, room](const Digest& layer) -> std::unique_ptr<LayerSink> {
    if (has_whole(folder, layer)) return nullptr;
    return std::make_unique<BuiltLayer>(folder, room);
  };
}

}  // namespace erofs_oci
