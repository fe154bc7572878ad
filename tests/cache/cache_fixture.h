// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <filesystem>
#include <functional>

#include "base/file.h"
#include "base/log.h"
#include "base/temporary_folder.h"
#include "cache/disk_cache.h"

namespace erofs_oci::testing {

/// Spans of odd lengths, so that they share blocks with their neighbours.
class OddSpans : public SpanTable {
 public:
  static constexpr uint64_t kLength = 100'001;

  explicit OddSpans(size_t count) : count_(count) {}
  uint64_t stream_size() const override { return count_ * kLength; }
  size_t span_count() const override { return count_; }
  size_t find(uint64_t offset) const override { return offset / kLength; }
  ByteRange output(size_t span) const override { return {span * kLength, kLength}; }
  ByteRange stored(size_t span) const override { return output(span); }
  bool is_identity() const override { return true; }
  void decode(size_t, Bytes, MutableBytes) const override {}

 private:
  size_t count_;
};

/// What span `span` of layer `layer` holds in these tests.
inline SpanRef content_of(int layer, size_t span) {
  auto bytes = std::make_shared<Buffer>(OddSpans::kLength);
  uint64_t state = static_cast<uint64_t>(layer) * 1'000'003 + span + 1;
  for (std::byte& byte : bytes->bytes()) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    byte = static_cast<std::byte>(state >> 56);
  }
  return bytes;
}

inline LayerKey key_of(int layer) {
  return LayerKey::of_index(sha256(as_bytes("layer " + std::to_string(layer))), sha256(as_bytes("table")));
}

/// In a child: a file system of `size`, in a mount namespace of its own.
inline bool mount_small(const std::filesystem::path& folder, const char* size) {
  std::filesystem::create_directories(folder);
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("small", folder.c_str(), "tmpfs", 0, size) == 0;
}

/// A cache in a folder of the test's own, and what it logs.
class CacheFixture : public ::testing::Test {
 protected:
  CacheFixture() {
    set_log_sink([this](LogLevel level, std::string_view message, const LogFields&) {
      MutexLock lock(log_mutex_);
      if (level <= LogLevel::notice) log_ += std::string(message) + "\n";
    });
  }
  ~CacheFixture() override {
    cache_.reset();
    set_log_sink([](LogLevel, std::string_view, const LogFields&) {});
  }

  DiskCacheOptions options(uint64_t limit = 1 * kGiB) const {
    return {.folder = folder_ / "cache",
            .limit_bytes = limit,
            .queue_bytes = 1 * kGiB,
            .sync_period = std::chrono::milliseconds(5)};
  }
  /// A new life of the daemon.
  void reopen(uint64_t limit = 1 * kGiB) {
    cache_.reset();
    cache_ = std::make_unique<DiskCache>(options(limit));
  }
  std::shared_ptr<CachedLayer> layer(int number) { return cache_->open(key_of(number), spans_); }
  void fill(CachedLayer& layer, int number) {
    for (size_t span = 0; span < spans_.span_count(); ++span) layer.keep(span, content_of(number, span));
    cache_->flush();
  }
  /// Whether the span is served, and then that it is right.
  static bool loads(CachedLayer& layer, int number, size_t span) {
    Buffer out(OddSpans::kLength);
    if (!layer.has(span) || !layer.load(span, out.bytes())) return false;
    EXPECT_TRUE(std::ranges::equal(out.bytes(), content_of(number, span)->bytes())) << "span " << span;
    return true;
  }
  size_t loaded(CachedLayer& layer, int number) const {
    size_t count = 0;
    for (size_t span = 0; span < spans_.span_count(); ++span) count += loads(layer, number, span) ? 1 : 0;
    return count;
  }
  std::filesystem::path file(int number, const char* ending) const {
    return folder_ / "cache" / (key_of(number).file_name() + ending);
  }
  void flip(const std::filesystem::path& path, uint64_t offset) const {
    const UniqueFd fd = open_file(path, O_RDWR);
    std::byte byte;
    pread_exactly(fd.get(), offset, {&byte, 1}, path.native());
    byte ^= std::byte{0x10};
    pwrite_all(fd.get(), offset, {&byte, 1}, path.native());
  }
  std::string log() {
    MutexLock lock(log_mutex_);
    return log_;
  }
  /// Runs `body` in a child that has 1 MiB for the cache; it returns whether all was right.
  void on_a_small_disk(const std::function<bool()>& body) {
    cache_.reset();
    const pid_t child = ::fork();
    if (child == 0) {
      if (!mount_small(folder_ / "cache", "size=1m")) ::_exit(77);
      DiskCacheOptions small = options();
      small.pause_when_full = std::chrono::milliseconds(50);
      cache_ = std::make_unique<DiskCache>(small);
      const bool right = body();
      if (!right) fprintf(stderr, "%s", log().c_str());
      ::_exit(right && !HasFailure() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "needs root";
    EXPECT_EQ(status, 0);
  }

  Mutex log_mutex_;
  std::string log_;
  testing::TemporaryFolder folder_;
  const OddSpans spans_{12};
  std::unique_ptr<DiskCache> cache_ = std::make_unique<DiskCache>(options());
};

}  // namespace erofs_oci::testing
