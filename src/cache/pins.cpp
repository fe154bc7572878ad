// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cache/disk_cache.h"

// Which layers must stay, for which mounts: the file "pins" (README.md).
namespace erofs_oci {
namespace {

constexpr uint64_t kMaxPins = 4 * kMiB;

}  // namespace

void DiskCache::load_pins() {
  const std::filesystem::path path = options_.folder / "pins";
  try {
    const auto file = try_open_file(path, O_RDONLY | O_NOFOLLOW);
    if (!file) return;
    std::istringstream lines(read_text(file->get(), kMaxPins, path.native()));
    MutexLock lock(mutex_);
    for (std::string layer, mount; lines >> layer >> mount;) pins_[mount].insert(layer);
  } catch (const Error& error) {
    logf(LogLevel::warning, "the cache: {}; nothing is pinned until the next mount", error.what());
  }
}

void DiskCache::save_pins() {
  std::string text;
  {
    MutexLock lock(mutex_);
    for (const auto& [mount, layers] : pins_) {
      for (const std::string& layer : layers) text += layer + " " + mount + "\n";
    }
  }
  write_file_durably(options_.folder / "pins", text, 0600);
}

void DiskCache::pin(const std::string& mount, const Layers& layers) {
  if (!writes()) return;
  std::set<std::string> names;
  for (const auto& layer : layers) names.insert(layer->key().file_name());
  on_writer([&] {
    {
      MutexLock lock(mutex_);
      const auto found = pins_.find(mount);
      if (found == pins_.end() ? names.empty() : found->second == names) return;
      if (names.empty()) {
        pins_.erase(found);
      } else {
        pins_[mount] = names;
      }
    }
    told_used_up_ = false;
    save_pins();
  });
}

void DiskCache::keep_pins(const std::set<std::string>& mounts) {
  if (!writes()) return;
  on_writer([&] {
    {
      MutexLock lock(mutex_);
      if (std::erase_if(pins_, [&](const auto& pin) { return !mounts.contains(pin.first); }) == 0) return;
    }
    told_used_up_ = false;
    save_pins();
  });
}

bool DiskCache::is_pinned(const CachedLayer& layer) const {
  const std::string name = layer.key().file_name();
  MutexLock lock(mutex_);
  for (const auto& [mount, layers] : pins_) {
    if (layers.contains(name)) return true;
  }
  return false;
}

}  // namespace erofs_oci
