// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <iostream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "daemon/kept_connection.h"
#include "fuse/memory_device.h"
#include "handover/fault_note.h"

namespace erofs_oci {
namespace {

/// Serves tools over what no request can be received from: a folder.
[[noreturn]] void serve_what_fails(RequestTable table) {
  constexpr rlimit kNoCore{0, 0};
  ::setrlimit(RLIMIT_CORE, &kNoCore);
  FaultNote::begin();
  set_log_sink([](LogLevel, std::string_view line, const LogFields&) { std::cerr << line << std::endl; });
  const auto transport = serve_fuse(open_file("/", O_RDONLY | O_DIRECTORY), std::move(table), "tools",
                                    std::make_shared<MemoryDevice>("content"), {}, {});
  std::this_thread::sleep_for(std::chrono::seconds(30));
  ::_exit(0);
}

TEST(FuseTransport, EndsTheDaemonByAFaultWhereItCannotReceive) {
  RequestTable table = RequestTable::create();
  const RequestTable kept = RequestTable::adopt(duplicate(table.fd()));
  EXPECT_EXIT(
      serve_what_fails(std::move(table)), testing::KilledBySignal(SIGABRT),
      "tools: serving it over fuse: receiving requests from fuse: .*; the daemon ends, so that the next one");
  EXPECT_TRUE(kept.predecessor_faulted()) << "so that a read that causes it fails in the end";
}

TEST(FuseTransport, AConnectionThatIsOverIsRefused) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  UniqueFd kernel(ends[0]);
  std::vector<UniqueFd> fds;
  fds.emplace_back(ends[1]);
  kernel.reset();
  EXPECT_THROW(new_connection(TransportKind::fuse, std::move(fds)), Error);
}

TEST(FuseTransport, ADeviceThatNothingIsMountedFromIsRefused) {
  std::vector<UniqueFd> fds;
  fds.emplace_back(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!fds[0]) GTEST_SKIP() << "needs /dev/fuse";
  EXPECT_THROW(new_connection(TransportKind::fuse, std::move(fds)), Error);
}

}  // namespace
}  // namespace erofs_oci
