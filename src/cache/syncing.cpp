// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "cache/disk_cache.h"

// When what was written is made durable: once there is much of it, or a while after the first.
namespace erofs_oci {
namespace {

constexpr uint64_t kMaxSyncBytes = 64 * kMiB;
/// The times of last use are noted, and files of layers at rest closed, so often.
constexpr std::chrono::seconds kIdlePeriod{60};

}  // namespace

uint64_t DiskCache::sync_threshold() const {
  return std::min(kMaxSyncBytes, options_.limit_bytes / 8);
}

/// Syncing is done a while after the first write, so that it is of many; false at the end.
bool DiskCache::wait_for_sync(uint64_t& wanted) {
  MutexLock lock(sync_mutex_);
  const auto due = [this]() EROFS_OCI_TSA(no_thread_safety_analysis) {
    return sync_stopping_ || sync_wanted_ != sync_done_ || unsynced_ >= sync_threshold();
  };
  const auto idle_until = Clock::now() + kIdlePeriod;
  while (!due() && unsynced_ == 0 && sync_changed_.wait_until(sync_mutex_, idle_until)) continue;
  const auto until = Clock::now() + options_.sync_period;
  while (!due() && unsynced_ != 0 && sync_changed_.wait_until(sync_mutex_, until)) continue;
  syncing_ = std::exchange(unsynced_, 0) != 0;
  wanted = sync_wanted_;
  return !sync_stopping_;
}

void DiskCache::sync_loop() {
  for (bool more = true; more;) {
    uint64_t wanted = 0;
    more = wait_for_sync(wanted);
    sync_all();
    MutexLock lock(sync_mutex_);
    sync_done_ = wanted;
    syncing_ = false;
    sync_changed_.notify_all();
  }
}

void DiskCache::sync_all() {
  const bool is_written = written_since_failure_;
  bool any = false;
  bool any_lost = false;
  for (Layers all = layers(); !all.empty(); all.pop_back()) {
    CachedLayer& layer = *all.back();
    try {
      any = layer.sync() || any;
    } catch (const Error& error) {
      failed(error);
    }
    any_lost = layer.has_lost() || any_lost;
    layer.settle(all.back().use_count() > 2);
  }
  if (any && is_written && written_since_failure_) succeeded();  // not before it is durable
  if (any) measure();
  if (any_lost) queue_->push([this] { give_back_lost(); });
}

bool DiskCache::has_unsynced() {
  MutexLock lock(sync_mutex_);
  return unsynced_ != 0 || syncing_;
}

void DiskCache::flush() {
  if (!writes()) return;
  on_writer([] {});
  wait_until_synced();
}

/// What has been written by now.
void DiskCache::wait_until_synced() {
  MutexLock lock(sync_mutex_);
  const uint64_t mine = ++sync_wanted_;
  sync_changed_.notify_all();
  while (sync_done_ < mine && !sync_stopping_) sync_changed_.wait(sync_mutex_);
}

}  // namespace erofs_oci
