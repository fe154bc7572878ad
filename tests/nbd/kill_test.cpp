// SPDX-License-Identifier: Apache-2.0
// Servers that die by SIGKILL at any instruction while they are asked. EROFS_OCI_TEST_KILLS=N: N of them.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

#include "fuse/memory_device.h"
#include "nbd/connection.h"

namespace erofs_oci::nbd {
namespace {

constexpr int kDefaultKills = 100;
constexpr size_t kInFlight = 32;

int wanted_kills() {
  const char* text = std::getenv("EROFS_OCI_TEST_KILLS");
  return text != nullptr ? std::atoi(text) : kDefaultKills;
}

/// Content that is known by its place.
std::string content() {
  std::mt19937_64 random(7);
  std::string bytes(4 * kMiB, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

/// Answers half of the reads on threads of their own, up to 2 ms late, so that a kill finds reads in every
/// state.
class SlowDevice : public MemoryDevice {
 public:
  using MemoryDevice::MemoryDevice;
  void read(ByteRange range, ReadDone done) override {
    const uint64_t delay = range.offset / 512 % 4;
    if (delay < 2) return MemoryDevice::read(range, std::move(done));
    std::thread([this, range, delay, done = std::move(done)] {
      std::this_thread::sleep_for(std::chrono::milliseconds(delay - 1));
      MemoryDevice::read(range, done);
    }).detach();
  }
};

/// What the killing process tells, in memory that both have.
struct Report {
  std::atomic<uint64_t> answers;  // told by the test
  std::atomic<int> kills;
  std::atomic<int> with_half_a_reply;
  std::atomic<int> lost;
  std::atomic<bool> enough;
};

Report& shared_report() {
  void* const memory =
      ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return *new (memory) Report();
}

[[noreturn]] void serve(const Connection& connection, const std::string& bytes) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  Server(copy_of(connection), std::make_shared<SlowDevice>(bytes), [](ByteRange) {}).run();
  ::_exit(0);
}

/// Runs servers and kills each some time after an answer of its own; then has one serve on. A process of its
/// own, so that its forks are of a process without threads.
[[noreturn]] void kill_servers(const Connection& connection, const std::string& bytes, Report& report) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::mt19937 random(1);
  for (const int wanted = wanted_kills(); report.kills < wanted; ++report.kills) {
    const pid_t server = ::fork();
    if (server == 0) serve(connection, bytes);
    for (const uint64_t before = report.answers; report.answers == before && !report.enough;) ::usleep(100);
    ::usleep(random() % 4000);
    ::kill(server, SIGKILL);
    ::waitpid(server, nullptr, 0);
    Connection left = copy_of(connection);
    report.lost += !why_lost(left).empty();
    report.with_half_a_reply += left.pipe.waiting() != 0;
  }
  report.enough = true;
  serve(connection, bytes);
}

/// The kernel: asks, and checks every answer. Slower than a server, so that replies wait half sent.
class Asker {
 public:
  Asker(const TestConnection& connection, const std::string& bytes)
      : connection_(connection), bytes_(bytes) {}

  void ask() {
    const ByteRange range{random_() % 7000 * 512, 1 + random_() % 500'000};
    asked_[++cookie_] = range;
    connection_.ask(cookie_, range);
  }
  void take_answer() {
    const auto header = connection_.receive_header();
    const auto asked = asked_.find(header.cookie);
    ASSERT_NE(asked, asked_.end()) << "an answer to nobody's question, or the second one";
    ASSERT_EQ(header.error, 0u);
    ASSERT_EQ(connection_.receive(asked->second.length),
              bytes_.substr(asked->second.offset, asked->second.length));
    received_ += asked->second.length;
    asked_.erase(asked);
  }
  size_t waiting() const { return asked_.size(); }
  uint64_t received() const { return received_; }

 private:
  const TestConnection& connection_;
  const std::string& bytes_;
  std::mt19937_64 random_{3};
  std::map<uint64_t, ByteRange> asked_;
  uint64_t cookie_ = 0;
  uint64_t received_ = 0;
};

TEST(NbdKillTest, NoReadFailsOrIsWrong) {
  const std::string bytes = content();
  const TestConnection connection;
  Report& report = shared_report();
  const pid_t killer = ::fork();
  if (killer == 0) kill_servers(*connection.server, bytes, report);
  Asker asker(connection, bytes);
  while (!report.enough && !HasFatalFailure()) {
    while (asker.waiting() < kInFlight) asker.ask();
    asker.take_answer();
    ++report.answers;
  }
  while (asker.waiting() != 0 && !HasFatalFailure()) asker.take_answer();
  ::kill(killer, SIGKILL);
  ::waitpid(killer, nullptr, 0);
  std::printf("%d kills, %d of them with half a reply sent; %.1f MiB read\n", report.kills.load(),
              report.with_half_a_reply.load(), static_cast<double>(asker.received()) / kMiB);
  EXPECT_EQ(report.lost, 0);
  EXPECT_GT(report.with_half_a_reply, 0);
}

}  // namespace
}  // namespace erofs_oci::nbd
