// SPDX-License-Identifier: Apache-2.0
#include "cache/cached_layer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>

#include "base/crc64.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cache/built_layer.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kBlock = 4096;
/// Read and checksummed at a time, so that the checksum finds it in the processor's cache.
constexpr uint64_t kPiece = 128 * kKiB;
/// The time of the last use is exact to this.
constexpr uint32_t kNoteUseSeconds = 60;
constexpr const char* kDiffers = "its bytes differ from their checksum";
/// Images may be private: the daemon's user alone.
constexpr mode_t kMode = 0600;
constexpr int kFlags = O_NOFOLLOW | O_NONBLOCK;

fs::path with_ending(const fs::path& base, const char* ending) {
  return base.native() + ending;
}

uint32_t now() {
  return static_cast<uint32_t>(std::time(nullptr));
}

/// Gives blocks back; false, and errno, where that cannot be done.
bool punch(int file, ByteRange hole) {
  return ::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(hole.offset),
                     static_cast<off_t>(hole.length)) == 0;
}

/// Whether there may be blocks that the hole would give back: whole ones.
bool has_blocks(int file, ByteRange hole) {
  const uint64_t begin = round_up(hole.offset, kBlock);
  const uint64_t end = round_down(hole.end(), kBlock);
  if (begin >= end) return false;
  const off_t data = ::lseek(file, static_cast<off_t>(begin), SEEK_DATA);
  return data < 0 ? errno != ENXIO : static_cast<uint64_t>(data) < end;
}

/// Says nothing of the data.
bool is_shortage(const Error& error) {
  const int code = error.errno_value();
  return code == EMFILE || code == ENFILE || code == ENOMEM;
}

void sync_data(int file, const fs::path& path) {
  if (::fdatasync(file) != 0) throw errno_error("{}: fdatasync", path.native());
}

}  // namespace

LayerMap CachedLayer::create(const fs::path& base, const LayerKey& key, SpanCuts cuts) {
  const fs::path data_path = with_ending(base, ".data");
  ::unlink(with_ending(base, ".map").c_str());  // before the data that it speaks of
  const UniqueFd data = open_file(data_path, O_RDWR | O_CREAT | O_TRUNC | kFlags, kMode);
  if (::ftruncate(data.get(), static_cast<off_t>(cuts.stream_size)) != 0)
    throw errno_error("{}", data_path.native());
  if (::fsync(data.get()) != 0) throw errno_error("{}: fsync", data_path.native());
  create_map(base, key, cuts);
  const size_t count = cuts.count();
  return {key, std::move(cuts), std::vector<SpanMark>(count)};
}

LayerMap CachedLayer::take_built(const fs::path& base) {
  const fs::path data_path = with_ending(base, ".data");
  const fs::path built = with_ending(base, kBuiltData);
  LayerMap map = read_map(open_file(with_ending(base, kBuiltMap), O_RDONLY | kFlags).get(), base.native());
  ::unlink(with_ending(base, ".map").c_str());
  if (::rename(built.c_str(), data_path.c_str()) != 0) throw errno_error("{}: rename", built.native());
  create_map(base, map.key, map.cuts);
  return map;
}

void CachedLayer::create_map(const fs::path& base, const LayerKey& key, const SpanCuts& cuts) {
  const fs::path map_path = with_ending(base, ".map");
  const fs::path temporary = with_ending(base, ".map.new");
  ::unlink(temporary.c_str());
  const UniqueFd map = open_file(temporary, O_RDWR | O_CREAT | O_EXCL | kFlags, kMode);
  write_map(map.get(), key, cuts, temporary.native());
  if (::fsync(map.get()) != 0) throw errno_error("{}: fsync", temporary.native());
  if (::rename(temporary.c_str(), map_path.c_str()) != 0) throw errno_error("{}: rename", map_path.native());
}

LayerMap CachedLayer::read(const fs::path& base) {
  const fs::path map_path = with_ending(base, ".map");
  const UniqueFd map = open_file(map_path, O_RDONLY | kFlags);
  const UniqueFd data = open_file(with_ending(base, ".data"), O_RDONLY | kFlags);
  return read_map(map.get(), map_path.native());
}

CachedLayer::CachedLayer(fs::path base, LayerMap map, Keep keep, bool built)
    : map_path_(with_ending(base, ".map")),
      data_path_(with_ending(base, ".data")),
      key_(map.key),
      cuts_(std::move(map.cuts)),
      keep_(std::move(keep)) {
  struct stat info {};
  used_ = noted_use_ =
      ::stat(map_path_.c_str(), &info) == 0 ? static_cast<uint32_t>(info.st_mtim.tv_sec) : now();
  slots_.resize(cuts_.count());
  for (size_t span = 0; span < slots_.size(); ++span) {
    if (!map.marks[span]) continue;
    slots_[span] = {*map.marks[span], used_, built ? State::written : State::stored, 0};
    if (built) unsynced_.push_back(span);
  }
}

bool CachedLayer::has(size_t span) const {
  MutexLock lock(mutex_);
  if (span >= slots_.size()) return false;
  if (slots_[span].readable()) return true;
  const auto queued = queued_.find(span);  // not locked: its last owner must not be we, with our lock held
  return queued != queued_.end() && !queued->second.expired();
}

bool CachedLayer::has_any() const {
  MutexLock lock(mutex_);
  return std::ranges::any_of(slots_, &Slot::readable);
}

bool CachedLayer::is_whole() const {
  MutexLock lock(mutex_);
  return std::ranges::all_of(slots_, &Slot::readable);
}

std::vector<bool> CachedLayer::kept() const {
  MutexLock lock(mutex_);
  std::vector<bool> kept(slots_.size());
  for (size_t span = 0; span < slots_.size(); ++span) kept[span] = slots_[span].readable();
  return kept;
}

CachedLayer::FilesRef CachedLayer::files() {
  {
    MutexLock lock(mutex_);
    if (files_) return files_;
  }
  const int access = keep_ ? O_RDWR : O_RDONLY;
  auto opened = std::make_shared<const Files>(
      Files{open_file(map_path_, access | kFlags), open_file(data_path_, access | kFlags)});
  MutexLock lock(mutex_);
  if (!files_) files_ = std::move(opened);
  return files_;
}

bool CachedLayer::load(size_t span, MutableBytes out) {
  uint64_t checksum = 0;
  uint16_t life = 0;
  SpanRef queued;
  {
    MutexLock lock(mutex_);
    if (span >= slots_.size() || cuts_.span(span).length != out.size()) return false;
    if (const auto found = queued_.find(span); found != queued_.end()) queued = found->second.lock();
    Slot& slot = slots_[span];
    if (!queued && !slot.readable()) return false;
    checksum = slot.checksum;
    life = slot.life;
    slot.used = used_ = now();
  }
  if (queued) {
    std::ranges::copy(queued->bytes(), out.begin());
    return true;
  }
  try {
    const FilesRef files = this->files();
    if (read_span(span, files, out) == checksum) return true;
  } catch (const Error& error) {
    if (is_shortage(error)) {
      logf(LogLevel::debug, "the cache: {}; going on without for once", error.what());
    } else {
      damaged(span, life, error.what());
    }
    return false;
  }
  damaged(span, life, kDiffers);
  return false;
}

bool CachedLayer::check(size_t span) {
  uint64_t checksum = 0;
  uint16_t life = 0;
  {
    MutexLock lock(mutex_);
    if (!slots_[span].readable()) return true;
    checksum = slots_[span].checksum;
    life = slots_[span].life;
  }
  std::string how = kDiffers;
  try {
    const FilesRef files = this->files();
    std::vector<std::byte> buffer(kPiece);
    if (read_span(span, files, buffer) == checksum) return true;
  } catch (const Error& error) {
    if (is_shortage(error)) throw;
    how = error.what();
  }
  return !damaged(span, life, how);
}

/// The checksum of a span, which is read into `out`, or piece by piece over each other where that is smaller.
uint64_t CachedLayer::read_span(size_t span, const FilesRef& files, MutableBytes out) {
  const ByteRange range = cuts_.span(span);
  uint64_t crc = 0;
  uint64_t length = 0;
  for (uint64_t done = 0; done < range.length; done += length) {
    length = std::min(kPiece, range.length - done);
    const MutableBytes piece = out.subspan(out.size() == range.length ? done : 0, length);
    pread_exactly(files->data.get(), range.offset + done, piece, data_path_.native());
    crc = crc64(piece, crc);
  }
  return crc;
}

/// What was punched out while it was read is no damage, and false; a process that only reads cannot tell.
bool CachedLayer::damaged(size_t span, uint16_t life, const std::string& how) {
  {
    MutexLock lock(mutex_);
    if (slots_[span].life != life || !slots_[span].readable()) return false;
  }
  log(keep_ ? LogLevel::warning : LogLevel::debug,
      fmt::format("the cache of layer {}, span {}: {}; it is dropped and fetched again",
                  to_string(key_.layer), span, how),
      {{"LAYER", to_string(key_.layer)}, {"SPAN", std::to_string(span)}});
  drop(span);
  return true;
}

void CachedLayer::keep(size_t span, SpanRef bytes) {
  if (!keep_) return;
  if (span >= cuts_.count() || cuts_.span(span).length != bytes->size() || !claim(span, bytes)) return;
  if (!keep_(shared_from_this(), span, std::move(bytes))) abandon(span);
}

bool CachedLayer::claim(size_t span) {
  return claim(span, nullptr);
}

bool CachedLayer::claim(size_t span, const SpanRef& bytes) {
  MutexLock lock(mutex_);
  if (slots_[span].state != State::absent) return false;
  slots_[span].state = State::queued;
  if (bytes) queued_[span] = bytes;
  return true;
}

void CachedLayer::abandon(size_t span) {
  MutexLock lock(mutex_);
  if (slots_[span].state == State::queued) forget(span);
}

void CachedLayer::drop(size_t span) {
  {
    MutexLock lock(mutex_);
    if (span >= slots_.size()) return;
    const State before = slots_[span].state;
    forget(span);
    if (!keep_) return;
    if (before >= State::written) lost_.insert(span);  // write() sees it of one that is queued
    if (before != State::stored) return;               // sync() sees that it is gone
  }
  try {
    unmark(files(), {span}, false);
  } catch (const Error& error) {
    logf(LogLevel::debug, "{}; ignoring, its checksum still tells", error.what());
  }
}

void CachedLayer::forget(size_t span) {
  slots_[span].state = State::absent;
  ++slots_[span].life;
  queued_.erase(span);
}

void CachedLayer::unmark(const FilesRef& files, const std::vector<size_t>& spans, bool durably) {
  for (const size_t span : spans) write_mark(files->map.get(), cuts_, span, std::nullopt, map_path_.native());
  if (durably) sync_data(files->map.get(), map_path_);
}

void CachedLayer::write(size_t span, Bytes bytes) {
  {
    MutexLock lock(mutex_);
    if (slots_[span].state != State::queued) return;
  }
  const FilesRef files = this->files();
  try {
    pwrite_all(files->data.get(), cuts_.span(span).offset, bytes, data_path_.native());
  } catch (const Error&) {
    undo_write(span, files);
    throw;
  }
  const uint64_t checksum = crc64(bytes);
  MutexLock lock(mutex_);
  if (slots_[span].state != State::queued) {
    lost_.insert(span);
    return;
  }
  used_ = now();
  slots_[span] = {checksum, used_, State::written, slots_[span].life};
  queued_.erase(span);
  unsynced_.push_back(span);
}

/// Gives back what a write that failed has taken.
void CachedLayer::undo_write(size_t span, const FilesRef& files) {
  ByteRange hole;
  {
    MutexLock lock(mutex_);
    forget(span);
    hole = holes({span}).front();
  }
  punch(files->data.get(), hole);  // else its blocks are found by the next one who writes it
}

/// Once, before there are marks that could be lost with the files' names.
void CachedLayer::sync_names() {
  if (has_durable_names_) return;
  const fs::path path = map_path_.parent_path();
  const UniqueFd folder = open_file(path, O_RDONLY | O_DIRECTORY);
  if (::fsync(folder.get()) != 0) throw errno_error("{}: fsync", path.native());
  has_durable_names_ = true;
}

bool CachedLayer::sync() {
  std::vector<size_t> spans;
  std::vector<uint64_t> checksums;
  {
    MutexLock lock(mutex_);
    for (const size_t span : std::exchange(unsynced_, {})) {
      if (slots_[span].state != State::written) continue;
      slots_[span].state = State::syncing;
      spans.push_back(span);
      checksums.push_back(slots_[span].checksum);
    }
  }
  if (spans.empty()) return false;
  try {
    const FilesRef files = this->files();
    sync_data(files->data.get(), data_path_);
    sync_names();
    for (size_t i = 0; i < spans.size(); ++i)
      write_mark(files->map.get(), cuts_, spans[i], checksums[i], map_path_.native());
    sync_data(files->map.get(), map_path_);
    std::vector<size_t> gone;
    {
      MutexLock lock(mutex_);
      for (const size_t span : spans) {
        if (slots_[span].state == State::syncing) {
          slots_[span].state = State::stored;
        } else {
          gone.push_back(span);
        }
      }
    }
    unmark(files, gone, false);
  } catch (const Error&) {  // the kernel may have dropped the pages
    MutexLock lock(mutex_);
    for (const size_t span : spans) {
      if (slots_[span].state != State::syncing) continue;
      forget(span);
      lost_.insert(span);
    }
    throw;
  }
  return true;
}

void CachedLayer::settle(bool in_use) {
  FilesRef closed;  // after the lock
  uint32_t used = 0;
  {
    MutexLock lock(mutex_);
    used = used_;
    if (!in_use && unsynced_.empty()) closed = std::exchange(files_, nullptr);
  }
  if (used == noted_use_ || (in_use && used < noted_use_ + kNoteUseSeconds)) return;
  noted_use_ = used;
  const timespec times[2] = {{.tv_sec = used, .tv_nsec = 0}, {.tv_sec = used, .tv_nsec = 0}};
  ::utimensat(AT_FDCWD, map_path_.c_str(), times, AT_SYMLINK_NOFOLLOW);  // else it is evicted a little early
}

void CachedLayer::add_candidates(std::vector<Candidate>& candidates) {
  MutexLock lock(mutex_);
  for (size_t span = 0; span < slots_.size(); ++span) {
    if (slots_[span].state == State::stored)
      candidates.push_back({slots_[span].used, this, span, cuts_.span(span).length});
  }
}

/// Blocks that a span shares with neighbours go once all of them are gone.
std::vector<ByteRange> CachedLayer::holes(const std::vector<size_t>& spans) {
  const auto absent = [&](size_t span) EROFS_OCI_TSA(no_thread_safety_analysis) {
    return slots_[span].state == State::absent;
  };
  std::vector<ByteRange> holes;
  for (const size_t span : spans) {
    uint64_t begin = round_down(cuts_.span(span).offset, kBlock);
    uint64_t end = round_up(cuts_.span(span).end(), kBlock);
    for (size_t before = span; before-- > 0 && cuts_.span(before).end() > begin;) {
      if (!absent(before)) begin = cuts_.span(before).end();
    }
    for (size_t behind = span + 1; behind < cuts_.count() && cuts_.span(behind).offset < end; ++behind) {
      if (!absent(behind)) end = cuts_.span(behind).offset;
    }
    if (!holes.empty() && begin <= holes.back().end()) {
      holes.back() = ByteRange::from_to(holes.back().offset, std::max(end, holes.back().end()));
    } else {
      holes.push_back(ByteRange::from_to(begin, end));
    }
  }
  return holes;
}

void CachedLayer::evict(const std::vector<size_t>& chosen) {
  std::vector<size_t> spans;
  {
    MutexLock lock(mutex_);
    for (const size_t span : chosen) {
      if (slots_[span].state != State::stored) continue;
      forget(span);
      spans.push_back(span);
    }
  }
  std::ranges::sort(spans);
  if (!give_back(spans)) clear();
}

/// Unmarks absent spans, then punches them out; false where the file system cannot. A span that is claimed
/// meanwhile is written by this thread, so later.
bool CachedLayer::give_back(const std::vector<size_t>& spans) {
  const FilesRef files = this->files();
  unmark(files, spans, true);
  std::vector<ByteRange> holes;
  {
    MutexLock lock(mutex_);
    holes = this->holes(spans);
  }
  for (const ByteRange hole : holes) {
    if (punch(files->data.get(), hole)) continue;
    if (errno == EOPNOTSUPP || errno == ENOSYS) return false;
    throw errno_error("{}: punching out {} bytes", data_path_.native(), hole.length);
  }
  return true;
}

bool CachedLayer::has_lost() const {
  MutexLock lock(mutex_);
  return !lost_.empty();
}

bool CachedLayer::give_back_lost() {
  std::vector<size_t> spans;
  {
    MutexLock lock(mutex_);
    for (const size_t span : std::exchange(lost_, {})) {
      const State state = slots_[span].state;
      if (state == State::absent) spans.push_back(span);
      if (state == State::queued) lost_.insert(span);  // it may be given up
    }
  }
  if (!spans.empty()) give_back(spans);
  return !spans.empty();
}

void CachedLayer::give_back_unmarked() {
  std::vector<ByteRange> holes;
  {
    MutexLock lock(mutex_);
    std::vector<size_t> spans;
    for (size_t span = 0; span < slots_.size(); ++span) {
      if (slots_[span].state == State::absent) spans.push_back(span);
    }
    holes = this->holes(spans);
  }
  const FilesRef files = this->files();
  std::erase_if(holes, [&](ByteRange hole) { return !has_blocks(files->data.get(), hole); });
  if (holes.empty()) return;
  sync_data(files->map.get(), map_path_);  // where a span was dropped, that is not durable
  for (const ByteRange hole : holes)
    punch(files->data.get(), hole);  // else the next who writes them has them
}

void CachedLayer::clear() {
  std::vector<size_t> spans;
  {
    MutexLock lock(mutex_);
    for (size_t span = 0; span < slots_.size(); ++span) {
      if (!slots_[span].readable()) continue;
      forget(span);
      spans.push_back(span);
    }
    spans.insert(spans.end(), lost_.begin(), lost_.end());  // a sync that failed may have marked them
    unsynced_.clear();
    lost_.clear();
  }
  const FilesRef files = this->files();
  unmark(files, spans, true);
  if (::ftruncate(files->data.get(), 0) != 0 ||
      ::ftruncate(files->data.get(), static_cast<off_t>(cuts_.stream_size)) != 0)
    throw errno_error("{}", data_path_.native());
}

void CachedLayer::remove_files() {
  ::unlink(map_path_.c_str());  // before the data that it speaks of
  ::unlink(data_path_.c_str());
}

uint64_t CachedLayer::bytes_on_disk() const {
  uint64_t bytes = 0;
  for (const fs::path* path : {&map_path_, &data_path_}) {
    struct stat info {};
    if (::stat(path->c_str(), &info) == 0) bytes += static_cast<uint64_t>(info.st_blocks) * 512;
  }
  return bytes;
}

CachedLayerInfo CachedLayer::info() const {
  CachedLayerInfo info{.key = key_, .spans = cuts_.count(), .stream_bytes = cuts_.stream_size};
  info.bytes_on_disk = bytes_on_disk();
  MutexLock lock(mutex_);
  info.last_used = used_;
  for (size_t span = 0; span < slots_.size(); ++span) {
    if (!slots_[span].readable()) continue;
    ++info.spans_kept;
    info.bytes_kept += cuts_.span(span).length;
  }
  return info;
}

}  // namespace erofs_oci
