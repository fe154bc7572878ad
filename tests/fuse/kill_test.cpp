// SPDX-License-Identifier: Apache-2.0
// Servers that die by SIGKILL at any instruction while the file is being read.
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "fuse/serving.h"

namespace erofs_oci::fuse {
namespace {

constexpr int kKills = 100;

/// Answers every read on a thread of its own, 0 to 2 ms late, so that a kill finds reads in every state.
class SlowDevice : public MemoryDevice {
 public:
  using MemoryDevice::MemoryDevice;
  void read(ByteRange range, ReadDone done) override {
    std::thread([this, range, done = std::move(done)] {
      std::this_thread::sleep_for(std::chrono::milliseconds(range.offset / 4096 % 3));
      MemoryDevice::read(range, done);
    }).detach();
  }
};

/// A number that forked processes share.
class SharedCount {
 public:
  SharedCount()
      : count_(static_cast<std::atomic<int>*>(
            ::mmap(nullptr, sizeof *count_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  SharedCount(const SharedCount&) = delete;
  SharedCount& operator=(const SharedCount&) = delete;
  ~SharedCount() { ::munmap(count_, sizeof *count_); }
  std::atomic<int>& operator*() const { return *count_; }

 private:
  std::atomic<int>* count_;
};

/// Runs servers and kills each some time after `reads` has grown; then reports by closing `report`, and
/// serves until the file has no user any more. A process of its own, so that its forks are of a process
/// without threads.
class Killer {
 public:
  Killer(UniqueFd connection, const RequestTable& table, UniqueFd report, const std::string& content,
         const std::atomic<int>& reads) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    keep_only({connection.get(), table.fd(), report.get()});
    RequestTable shared_table = RequestTable::adopt(UniqueFd(::dup(kFirst + 1)));
    std::mt19937 random(1);
    for (int i = 0; i < kKills; ++i) {
      const pid_t server = ::fork();
      if (server == 0) serve(content);
      for (const int before = reads; reads == before;) ::usleep(1000);
      ::usleep(random() % 8000);
      ::kill(server, SIGKILL);
      ::waitpid(server, nullptr, 0);
    }
    ::close(kFirst + 2);
    serve(content);
  }
  ~Killer() { ::waitpid(pid_, nullptr, 0); }

 private:
  static constexpr int kFirst = 100;

  /// Above all without the file, whose users are to be counted.
  static void keep_only(const std::vector<int>& fds) {
    for (size_t i = 0; i < fds.size(); ++i) ::dup2(fds[i], kFirst + static_cast<int>(i));
    ::close_range(3, kFirst - 1, 0);
    ::close_range(kFirst + static_cast<unsigned>(fds.size()), ~0u, 0);
  }
  /// As the daemon does: without any right.
  [[noreturn]] static void serve(const std::string& content) {
    constexpr uid_t kNobody = 65534;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
        ::setresuid(kNobody, kNobody, kNobody) != 0) {
      ::_exit(1);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Server(UniqueFd(kFirst), std::make_shared<SlowDevice>(content), RequestTable::adopt(UniqueFd(kFirst + 1)), [](ByteRange) {})
        .run();
    ::_exit(0);
  }

  pid_t pid_;
};

TEST(FuseKillTest, NoReadFailsOrIsWrong) {
  if (const std::string reason = why_no_fuse(); !reason.empty()) GTEST_SKIP() << reason;
  int report[2];
  ASSERT_EQ(::pipe2(report, O_CLOEXEC), 0);
  const UniqueFd reported(report[0]);
  const std::string content = noise(2 * kMiB);
  const SharedCount reads;
  auto fuse_file = std::make_unique<FuseFile>("erofs-oci:test");
  const Killer killer(fuse_file->take_connection(), RequestTable::create(), UniqueFd(report[1]), content,
                      *reads);
  const UniqueFd file = fuse_file->open();
  fuse_file.reset();

  std::atomic<int> wrong = 0;
  std::atomic<bool> enough = false;
  std::vector<std::thread> readers;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    readers.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      for (; !enough; ++*reads) {
        ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
        const ByteRange range{random() % content.size(), 1 + random() % 50'000};
        wrong += read_range(file.get(), range) != content.substr(range.offset, range.length);
      }
    });
  }
  char byte;
  EXPECT_EQ(::read(reported.get(), &byte, 1), 0);
  enough = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace erofs_oci::fuse
