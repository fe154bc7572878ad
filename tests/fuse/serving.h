// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/read_ahead.h"
#include "fuse/fuse_file.h"
#include "fuse/memory_device.h"
#include "fuse/server.h"

namespace erofs_oci::fuse {

/// Why tests against the kernel cannot run here; empty where they can.
inline std::string why_no_fuse() {
  if (::geteuid() != 0) return "needs root, to mount";
  if (::access("/dev/fuse", R_OK | W_OK) != 0) return "needs /dev/fuse";
  return {};
}

/// Bytes that are the same in every run and differ everywhere.
inline std::string noise(size_t size_bytes) {
  std::mt19937_64 random(size_bytes);
  std::string bytes(size_bytes, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

/// A server on a thread of its own.
class RunningServer {
 public:
  RunningServer(UniqueFd connection, std::shared_ptr<BlockDevice> device, RequestTable table)
      : server_(std::move(connection), std::move(device), std::move(table), [](ByteRange) {}),
        thread_([this] { end_ = server_.run(); }) {}
  ~RunningServer() { stop(); }

  void stop() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  /// Waits until the kernel ends the connection.
  Server::End wait() {
    thread_.join();
    return end_;
  }
  /// What a successor needs.
  UniqueFd copy_connection() const { return copy(server_.connection_fd()); }
  RequestTable copy_table() const { return RequestTable::adopt(copy(server_.table_fd())); }

 private:
  static UniqueFd copy(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

  Server server_;
  Server::End end_ = Server::End::stopped;
  std::thread thread_;
};

/// A served file, and what a test may want of it.
class FuseTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = why_no_fuse(); !reason.empty()) GTEST_SKIP() << reason;
  }

  void serve(std::string content) {
    content_ = std::move(content);
    device_ = std::make_shared<MemoryDevice>(content_);
    file_ = std::make_unique<FuseFile>("erofs-oci:test");
    server_ = std::make_unique<RunningServer>(file_->take_connection(), device_, RequestTable::create());
  }

  /// Files take the value over when they are opened.
  UniqueFd open_with_read_ahead(uint64_t size_bytes) {
    set_read_ahead(stat_fd(file_->open().get(), "file").st_dev, size_bytes);
    return file_->open();
  }

  std::string content_;
  std::shared_ptr<MemoryDevice> device_;
  std::unique_ptr<FuseFile> file_;
  std::unique_ptr<RunningServer> server_;
};

/// The bytes of `file` in `range` as far as the file goes.
inline std::string read_range(int file, ByteRange range) {
  std::string bytes(range.length, '\0');
  const ssize_t count = ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(range.offset));
  if (count < 0) throw errno_error("pread");
  bytes.resize(static_cast<size_t>(count));
  return bytes;
}

}  // namespace erofs_oci::fuse
