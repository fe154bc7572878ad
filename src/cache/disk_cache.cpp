// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_cache.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

#include <algorithm>
#include <future>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

UniqueFd try_lock(const fs::path& path) {
  UniqueFd lock = open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) throw errno_error("{}", path.native());
  return UniqueFd();
}

}  // namespace

DiskCache::DiskCache(DiskCacheOptions options)
    : options_(std::move(options)), queue_(std::make_shared<WriteQueue>(options_.queue_bytes)) {
  if (options_.read_only) {
    open_file(options_.folder, O_RDONLY | O_DIRECTORY);  // is it there, and may we?
    return;
  }
  std::error_code error;
  fs::create_directories(options_.folder, error);
  if (error) throw system_error(error.value(), options_.folder.native());
  lock_ = try_lock(options_.folder / "lock");
  if (!lock_) return;
  scan();
  load_pins();
  measure();
  shrink();
  writer_ = std::jthread([this] {
    ::pthread_setname_np(::pthread_self(), "cache-write");
    queue_->run();
  });
  syncer_ = std::jthread([this] {
    ::pthread_setname_np(::pthread_self(), "cache-sync");
    sync_loop();
  });
}

DiskCache::~DiskCache() {
  queue_->stop();
  if (writer_.joinable()) writer_.join();
  {
    MutexLock lock(sync_mutex_);
    sync_stopping_ = true;
    sync_changed_.notify_all();
  }
  if (syncer_.joinable()) syncer_.join();
}

// --- opening ---

void DiskCache::scan() {
  std::set<fs::path> left;
  for (const std::string& name : names_in(options_.folder)) {
    const auto layer = layer_of_file(name);
    if (!layer) continue;
    if (name.ends_with(".map")) {
      adopt(options_.folder / *layer);
    } else {
      left.insert(options_.folder / name);
    }
  }
  for (const fs::path& path : left) {  // data without a map, and maps that were not finished
    MutexLock lock(mutex_);
    const std::string name = path.filename();
    if (!name.ends_with(".data") || !layers_.contains(*layer_of_file(name))) ::unlink(path.c_str());
  }
}

void DiskCache::adopt(const fs::path& base) {
  try {
    LayerMap map = CachedLayer::read(base);
    const std::string name = map.key.file_name();
    if (name != base.filename())
      throw make_error(ErrorKind::corrupt, "{}: is of another layer", base.native());
    const auto layer = std::make_shared<CachedLayer>(base, std::move(map), keeper());
    give_back_unmarked(*layer);
    MutexLock lock(mutex_);
    layers_.emplace(name, layer);
  } catch (const Error& error) {
    logf(LogLevel::warning, "the cache: {}; what it has of this layer is dropped", error.what());
    ::unlink((base.native() + ".map").c_str());
    ::unlink((base.native() + ".data").c_str());
  }
}

void DiskCache::give_back_unmarked(CachedLayer& layer) {
  try {
    layer.give_back_unmarked();
  } catch (const Error& error) {
    logf(LogLevel::debug, "the cache: {}; ignoring, it takes more room than it needs", error.what());
  }
  layer.settle(/*in_use=*/false);
}

/// The limit may have been larger.
void DiskCache::shrink() {
  try {
    while (missing_for(0) != 0 && evict(missing_for(0))) continue;
  } catch (const Error& error) {
    failed(error);
  }
}

std::shared_ptr<CachedLayer> DiskCache::find(const LayerKey& key) const {
  MutexLock lock(mutex_);
  const auto found = layers_.find(key.file_name());
  return found == layers_.end() ? nullptr : found->second;
}

std::shared_ptr<CachedLayer> DiskCache::open(const LayerKey& key, const SpanTable& spans) {
  SpanCuts cuts = SpanCuts::of(spans);
  if (cuts.count() == 0 || !is_cacheable(cuts)) return nullptr;
  try {
    if (!writes()) return open_to_read(key, cuts);
    if (auto layer = find(key); layer && layer->cuts() == cuts) return layer;
    std::shared_ptr<CachedLayer> layer;
    on_writer([&] { layer = open_to_write(key, cuts); });
    return layer;
  } catch (const Error& error) {
    logf(LogLevel::warning, "the cache of layer {}: {}; going on without", to_string(key.layer),
         error.what());
    return nullptr;
  }
}

std::shared_ptr<CachedLayer> DiskCache::open_to_read(const LayerKey& key, const SpanCuts& cuts) const {
  const fs::path base = options_.folder / key.file_name();
  try {
    LayerMap map = CachedLayer::read(base);
    if (map.key != key || map.cuts != cuts) return nullptr;
    return std::make_shared<CachedLayer>(base, std::move(map), nullptr);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) return nullptr;
    throw;
  }
}

/// The writer's thread makes files and removes them, so that one of a name is not taken for another.
std::shared_ptr<CachedLayer> DiskCache::open_to_write(const LayerKey& key, SpanCuts cuts) {
  const std::string name = key.file_name();
  if (auto layer = find(key)) {
    if (layer->cuts() == cuts) return layer;
    logf(LogLevel::warning, "the cache of layer {}: its spans lie elsewhere; it is begun anew",
         to_string(key.layer));
    layer.reset();
    if (!drop_unused(name)) return nullptr;
  }
  LayerMap map;
  try {
    map = CachedLayer::create(options_.folder / name, key, std::move(cuts));
  } catch (const Error& error) {
    failed(error);
    return nullptr;
  }
  auto layer = std::make_shared<CachedLayer>(options_.folder / name, std::move(map), keeper());
  MutexLock lock(mutex_);
  layers_[name] = layer;
  return layer;
}

bool DiskCache::drop_unused(const std::string& name) {
  std::shared_ptr<CachedLayer> dropped;
  {
    MutexLock lock(mutex_);
    const auto found = layers_.find(name);
    if (found == layers_.end() || found->second.use_count() > 1) return false;
    dropped = std::move(found->second);
    layers_.erase(found);
  }
  dropped->remove_files();
  return true;
}

CachedLayer::Keep DiskCache::keeper() {
  return [this, queue = queue_](std::shared_ptr<CachedLayer> layer, size_t span, SpanRef bytes) {
    const uint64_t length = bytes->size();
    return queue->push_span(length, [this, layer = std::move(layer), span, bytes = std::move(bytes)] {
      write(*layer, span, bytes->bytes());  // on our own thread, so we are there
    });
  };
}

void DiskCache::on_writer(const std::function<void()>& body) {
  auto done = std::make_shared<std::promise<void>>();
  std::future<void> result = done->get_future();
  queue_->push([&body, done] {
    try {
      body();
      done->set_value();
    } catch (...) {
      done->set_exception(std::current_exception());
    }
  });
  done.reset();
  try {
    result.get();
  } catch (const std::future_error&) {
    throw Error(ErrorKind::unavailable, ECANCELED, "the daemon is stopping");
  }
}

bool DiskCache::has_layer(const Digest& layer) const {
  const std::string prefix = layer.hex() + "-";
  if (!writes()) {
    std::error_code error;
    for (fs::directory_iterator entry(options_.folder, error), end; !error && entry != end;
         entry.increment(error)) {
      if (entry->path().filename().native().starts_with(prefix)) return true;
    }
    return false;
  }
  MutexLock lock(mutex_);
  for (auto found = layers_.lower_bound(prefix); found != layers_.end() && found->first.starts_with(prefix);
       ++found) {
    if (found->second->has_any()) return true;
  }
  return false;
}

bool DiskCache::has_whole_layer(const Digest& layer) const {
  const Layers all = layers();
  return std::ranges::any_of(
      all, [&](const auto& each) { return each->key().layer == layer && each->is_whole(); });
}

DiskCache::Layers DiskCache::layers() const {
  MutexLock lock(mutex_);
  Layers layers;
  for (const auto& [name, layer] : layers_) layers.push_back(layer);
  return layers;
}

// --- writing ---

void DiskCache::write(CachedLayer& layer, size_t span, Bytes bytes) {
  if (is_paused()) return layer.abandon(span);
  try {
    if (!make_room(bytes.size())) return layer.abandon(span);
    layer.write(span, bytes);
  } catch (const Error& error) {
    layer.abandon(span);
    return failed(error);
  }
  written_since_failure_ = true;
  used_ += bytes.size();
  note_unsynced(bytes.size());
}

void DiskCache::note_unsynced(uint64_t bytes) {
  MutexLock lock(sync_mutex_);
  unsynced_ += bytes;
  sync_changed_.notify_all();
}

uint64_t DiskCache::free_bytes() const {
  return options_.limit_bytes - std::min(options_.limit_bytes, used_ + lent_);
}

/// Bytes that must go before `bytes` have room.
uint64_t DiskCache::missing_for(uint64_t bytes) const {
  const uint64_t taken = used_ + lent_ + bytes;
  return taken - std::min(taken, options_.limit_bytes);
}

bool DiskCache::make_room(uint64_t bytes) {
  const auto evict_for = [&] {
    while (missing_for(bytes) != 0) {  // blocks that a span shares with others do not go with it
      if (!evict(missing_for(bytes) + options_.limit_bytes / 32)) return false;  // many at once: each time costs a sync
    }
    return true;
  };
  if (evict_for()) return true;
  if (has_unsynced()) {  // which cannot be evicted
    wait_until_synced();
    if (evict_for()) return true;
  }
  tell_used_up();
  return false;
}

/// Once, until pins or builds change.
void DiskCache::tell_used_up() {
  if (std::exchange(told_used_up_, true)) return;
  uint64_t pinned = 0;
  for (const auto& layer : layers()) {
    if (is_pinned(*layer)) pinned += layer->bytes_on_disk();
  }
  logf(LogLevel::warning,
       "the cache: no room in cache_limit ({}), of which {} are pinned and {} kept for indexes being built; "
       "going on without caching",
       human_size(options_.limit_bytes), human_size(pinned), human_size(lent_));
}

/// Of spans that may go, about so much; false where there are none.
bool DiskCache::evict(uint64_t bytes) {
  Layers all = layers();
  std::vector<CachedLayer::Candidate> candidates;
  for (const auto& layer : all) {
    if (!is_pinned(*layer)) layer->add_candidates(candidates);
  }
  std::ranges::stable_sort(candidates, {}, &CachedLayer::Candidate::used);
  std::map<CachedLayer*, std::vector<size_t>> victims;
  uint64_t found = 0;
  for (const auto& candidate : candidates) {
    if (found >= bytes) break;
    found += candidate.length;
    victims[candidate.layer].push_back(candidate.span);
  }
  for (const auto& [layer, spans] : victims) layer->evict(spans);
  std::vector<std::string> empty;
  for (const auto& layer : all) {
    if (layer->info().spans_kept == 0) empty.push_back(layer->key().file_name());
  }
  all.clear();  // they count as uses
  for (const std::string& name : empty) drop_unused(name);
  measure();
  return !victims.empty();
}

/// Of the writer's thread.
void DiskCache::give_back_lost() {
  bool any = false;
  for (const auto& layer : layers()) {
    try {
      any = layer->give_back_lost() || any;
    } catch (const Error& error) {
      logf(LogLevel::debug, "the cache: {}; ignoring until the next start", error.what());
    }
  }
  if (any) measure();
}

void DiskCache::measure() {
  uint64_t bytes = 0;
  for (const auto& layer : layers()) bytes += layer->bytes_on_disk();
  used_ = bytes;
}

bool DiskCache::is_paused() {
  MutexLock lock(mutex_);
  return Clock::now() < paused_until_;
}

void DiskCache::failed(const Error& error) {
  bool told = false;
  {
    MutexLock lock(mutex_);
    paused_until_ = Clock::now() + options_.pause_when_full;
    told = std::exchange(told_failure_, true);
    written_since_failure_ = false;
  }
  if (!told) logf(LogLevel::warning, "the cache: {}; going on without caching", error.what());
}

void DiskCache::succeeded() {
  {
    MutexLock lock(mutex_);
    if (!std::exchange(told_failure_, false)) return;
  }
  logf(LogLevel::notice, "the cache: {} can be written again", options_.folder.native());
}

// --- commands ---

VerifyReport DiskCache::verify(const Progress& progress, const std::stop_token& stop) {
  const Layers all = layers();
  uint64_t total = 0;
  for (const auto& layer : all) total += layer->info().bytes_kept;
  VerifyReport report;
  for (const auto& layer : all) {
    const std::vector<bool> kept = layer->kept();
    for (size_t span = 0; span < kept.size(); ++span) {
      if (!kept[span]) continue;
      if (stop.stop_requested()) throw Error(ErrorKind::unavailable, ECANCELED, "given up");
      if (!layer->check(span)) report.damaged.push_back({layer->key(), span});
      ++report.spans;
      report.bytes += layer->cuts().span(span).length;
      progress(report.bytes, std::max(total, report.bytes));
    }
  }
  return report;
}

uint64_t DiskCache::remove(const std::optional<Digest>& layer) {
  if (!writes()) throw Error(ErrorKind::busy, "another process writes the cache");
  uint64_t freed = 0;
  on_writer([&] {
    for (Layers all = layers(); !all.empty(); all.pop_back()) {
      const CachedLayer& each = *all.back();
      if (layer && each.key().layer != *layer) continue;
      const std::string name = each.key().file_name();
      const uint64_t before = each.bytes_on_disk();
      all.back()->clear();
      const uint64_t behind = each.bytes_on_disk();
      all.back().reset();
      freed += before - (drop_unused(name) ? 0 : std::min(before, behind));
    }
    measure();
  });
  return freed;
}

}  // namespace erofs_oci
