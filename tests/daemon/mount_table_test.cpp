// SPDX-License-Identifier: Apache-2.0
#include "daemon/mount_table.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <future>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/temporary_folder.h"
#include "base/text.h"
#include "daemon/index_build.h"
#include "daemon/stored_descriptors.h"
#include "handover/fault.h"
#include "nbd/connection.h"

namespace erofs_oci {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Mounts of a local image.
class MountTableTest : public ::testing::Test {
 protected:
  MountTable::Opened open() {
    OpenInput input;
    input.definition.name = "tools";
    input.definition.image = "file:" + kImage;
    input.image = open_file(kImage, O_RDONLY);
    return mounts_.open(std::move(input), [](const OpenProgress&) {});
  }
  void serve(const std::string& generation) {
    std::vector<UniqueFd> fds;
    fds.push_back(listener());
    mounts_.serve({"tools", generation, TransportKind::export_, {0}}, std::move(fds));
  }
  static UniqueFd listener() {
    const sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // With no path the kernel chooses one.
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address.sun_family),
              0);
    EXPECT_EQ(::listen(socket.get(), 1), 0);
    return socket;
  }

  const std::string kImage = TEST_DATA_DIR "/layer.erofs";
  testing::TemporaryFolder folder_;
  MemoryBound memory_{64 * kMiB};
  WorkerPool workers_{2};
  SpanLoader loader_{memory_, workers_};
  http::Engine engine_;
  Store store_{folder_ / "store"};
  SourceOpener opener_{engine_, loader_, workers_, store_, build_in_process(store_)};
  ServiceManager manager_;
  MountTable mounts_{opener_, manager_, {}};
};

TEST_F(MountTableTest, ClosesAnAbandonedSource) {
  const auto opened = open();
  EXPECT_THAT(mounts_.status(std::nullopt), SizeIs(1));
  opened.abandon();
  EXPECT_THAT(mounts_.status(std::nullopt), IsEmpty());
  EXPECT_THROW(serve(random_hex_128()), Error);
}

TEST_F(MountTableTest, LeavesAServedMountToItself) {
  const auto opened = open();
  const std::string generation = random_hex_128();
  serve(generation);
  opened.abandon();
  const auto status = mounts_.status(std::nullopt);
  ASSERT_THAT(status, SizeIs(1));
  EXPECT_EQ(status[0].generation, generation);
  EXPECT_FALSE(open().abandon) << "it was there before";
}

TEST_F(MountTableTest, AbandonsOnlyWhatThatClientOpened) {
  const auto first = open();
  const auto second = open();
  first.abandon();
  EXPECT_THAT(mounts_.status(std::nullopt), SizeIs(1));
  serve(random_hex_128());
  second.abandon();
  EXPECT_THAT(mounts_.status(std::nullopt), SizeIs(1));
}

TEST_F(MountTableTest, ARefusedServeLeavesWhatIsServed) {
  const auto opened = open();
  const std::string generation = random_hex_128();
  serve(generation);
  EXPECT_THROW(mounts_.serve({"tools", random_hex_128(), TransportKind::export_, {}}, {}), Error);
  const auto status = mounts_.status(std::nullopt);
  ASSERT_THAT(status, SizeIs(1));
  EXPECT_EQ(status[0].generation, generation);
}

TEST_F(MountTableTest, CloseDropsWhatWasStoredAndNotClaimed) {
  const std::string generation = random_hex_128();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd read_end(ends[0]);
  StoredMounts stored;
  stored[generation].emplace(kStoredConnection, UniqueFd(ends[1]));
  MountTable mounts(opener_, manager_, std::move(stored));
  char byte;
  mounts.close({"tools", random_hex_128()});
  EXPECT_EQ(::read(read_end.get(), &byte, 1), -1) << "it is of another generation";
  mounts.close({"tools", generation});
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 0);
}

/// A mount over nbd as a former daemon left it with the service manager.
class ResumeTest : public MountTableTest {
 protected:
  OpenInput input() const {
    OpenInput input;
    input.definition.name = "tools";
    input.definition.image = "file:" + kImage;
    input.definition.mountpoint = "/mnt/tools";
    input.image = open_file(kImage, O_RDONLY);
    return input;
  }
  StoredMounts stored(OpenReply opened) {
    SourceRecord record(input());
    record.set_opened(opened);
    StoredMount parts = record.to_stored(TransportKind::nbd);
    const auto& [socket, pipe, table] = *connection_.server;
    parts.emplace(kStoredConnection, duplicate(socket.get()));
    parts.emplace(kStoredPipeRead, duplicate(pipe.read_fd()));
    parts.emplace(kStoredPipeWrite, duplicate(pipe.write_fd()));
    parts.emplace(kStoredTable, duplicate(table.fd()));
    StoredMounts mounts;
    mounts.emplace(kGeneration, std::move(parts));
    return mounts;
  }
  OpenReply reply() {
    const auto opened = open();
    opened.abandon();
    return opened.reply;
  }

  const std::string kGeneration = std::string(32, 'a');
  nbd::TestConnection connection_;
};

TEST_F(ResumeTest, ServesAgainWithoutAClient) {
  connection_.ask(1, {1024, 512});
  MountTable mounts(opener_, manager_, stored(reply()));
  mounts.resume();
  EXPECT_EQ(connection_.receive_header().error, 0u);
  std::string expected(512, '\0');
  pread_exactly(open_file(kImage, O_RDONLY).get(), 1024, {reinterpret_cast<std::byte*>(expected.data()), 512}, kImage);
  EXPECT_EQ(connection_.receive(512), expected);
  EXPECT_EQ(mounts.open(input(), [](const OpenProgress&) {}).reply.generation, kGeneration);
}

TEST_F(ResumeTest, WhatIsAskedMeanwhileWaits) {
  const OpenReply opened = reply();
  const auto ask = [&](const auto& question) {
    MountTable mounts(opener_, manager_, stored(opened));
    mounts.resume();
    return question(mounts);
  };
  EXPECT_TRUE(ask([&](MountTable& mounts) { return mounts.hurry({"tools", kGeneration}).end; }));
  EXPECT_EQ(ask([](MountTable& mounts) { return mounts.accesses("tools"); }).name, "tools");
  EXPECT_NO_THROW(ask([&](MountTable& mounts) { mounts.reload({kGeneration, input().definition, {}}, {}); }));
  try {
    ask([](MountTable& mounts) { mounts.prefetch({"tools", {}}, [](uint64_t, uint64_t) {}, {}); });
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported) << "it is served, and has no cache: " << error.what();
  }
}

TEST_F(ResumeTest, AnUnmountDoesNotWaitLong) {
  std::promise<void> enough;
  const auto build = [until = enough.get_future().share()](const auto&...) {
    until.wait();
    throw Error(ErrorKind::unavailable, "no index");
  };
  SourceOpener slow(engine_, loader_, workers_, store_, build);
  OpenInput archive = input();
  archive.definition.image = "tar:" TEST_DATA_DIR "/layer.tar.gz";
  archive.image = open_file(TEST_DATA_DIR "/layer.tar.gz", O_RDONLY);
  SourceRecord record(archive);
  record.set_opened(reply());
  StoredMounts left = stored(reply());
  for (auto& [part, fd] : record.to_stored(TransportKind::nbd))
    left[kGeneration].insert_or_assign(part, duplicate(fd.get()));
  MountTable mounts(slow, manager_, std::move(left));
  mounts.resume();
  auto asked = std::async(std::launch::async, [&] { return mounts.hurry({"tools", kGeneration}); });
  EXPECT_EQ(asked.wait_for(std::chrono::milliseconds(500)), std::future_status::timeout) << "it may be soon";
  EXPECT_EQ(asked.wait_for(std::chrono::seconds(8)), std::future_status::ready)
      << "a stop has ten seconds in all";
  enough.set_value();
  EXPECT_FALSE(asked.get().end) << "nothing is served yet";
}

TEST_F(ResumeTest, WaitsForAClientWhereTheSourceIsAnother) {
  OpenReply other = reply();
  other.size_bytes += 4096;
  MountTable mounts(opener_, manager_, stored(other));
  mounts.resume();
  const auto opened = mounts.open(input(), [](const OpenProgress&) {});
  EXPECT_FALSE(opened.reply.generation);
  EXPECT_EQ(opened.reply.kept, kGeneration);
  EXPECT_THAT(mounts.status(std::nullopt), SizeIs(1));
  connection_.ask(1, {1024, 512});
  mounts.serve({"tools", kGeneration, TransportKind::nbd, {}}, {});
  EXPECT_EQ(connection_.receive_header().error, 0u);
}

TEST_F(ResumeTest, WhatIsStillToComeIsListed) {
  OpenReply other = reply();
  other.size_bytes += 4096;  // so that it waits for a client
  MountTable mounts(opener_, manager_, stored(other));
  mounts.resume();
  EXPECT_THAT(mounts.status("tools"), SizeIs(1)) << "be it opening, or failed already";
  mounts.open(input(), [](const OpenProgress&) {}).abandon();  // waits until it has failed
  const auto status = mounts.status("tools");
  ASSERT_THAT(status, SizeIs(1));
  EXPECT_EQ(status[0].health, Health::failed);
  EXPECT_EQ(status[0].generation, std::nullopt) << "nobody serves it";
  EXPECT_EQ(status[0].mountpoint, "/mnt/tools");
  EXPECT_THAT(mounts.status("other"), IsEmpty());
  mounts.close({"tools", kGeneration});
  EXPECT_THAT(mounts.status(std::nullopt), IsEmpty());
}

TEST_F(ResumeTest, EndsAFuseConnectionWhoseTableIsOfAnotherVersion) {
  StoredMounts left = stored(reply());
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);  // as little a socket as /dev/fuse is
  const UniqueFd kernel(ends[0]);
  StoredMount& parts = left[kGeneration];
  SourceRecord record(input());
  record.set_opened(reply());
  parts = record.to_stored(TransportKind::fuse);
  parts.emplace(kStoredConnection, UniqueFd(ends[1]));
  const int table = connection_.server->table.fd();
  ASSERT_EQ(::pwrite(table, "eo-reqs9", 8, 0), 8);
  parts.emplace(kStoredTable, duplicate(table));
  std::vector<Event> events;
  MountTable mounts(opener_, manager_, std::move(left), [&](const Event& event) { events.push_back(event); });
  mounts.resume();
  char byte;
  EXPECT_EQ(::read(kernel.get(), &byte, 1), 0) << "nobody has the connection any more";
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].kind, EventKind::connection_lost);
  EXPECT_THAT(events[0].message, HasSubstr("another version"));
  EXPECT_THAT(mounts.status(std::nullopt), IsEmpty());
}

TEST_F(ResumeTest, DropsWhatIsNoConnection) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd other(ends[0]);
  StoredMounts left;
  left[std::string(32, 'b')].emplace(kStoredConnection, UniqueFd(ends[1]));
  MountTable mounts(opener_, manager_, std::move(left));
  mounts.resume();
  char byte;
  EXPECT_EQ(::read(other.get(), &byte, 1), 0);
}

TEST_F(ResumeTest, AConnectionThatEndsLaterIsTold) {
  std::promise<Event> lost;
  MountTable mounts(opener_, manager_, stored(reply()), [&](const Event& event) {
    if (event.kind == EventKind::connection_lost) lost.set_value(event);
  });
  mounts.resume();
  connection_.ask(1, {1024, 512});
  connection_.receive_header();
  connection_.kernel.reset();
  EXPECT_EQ(lost.get_future().get().mount, "tools");
}

TEST_F(ResumeTest, EndsAConnectionThatNobodyCanGoOnWith) {
  connection_.server->table.set_phase(ReplyPhase::sending);
  MountTable mounts(opener_, manager_, stored(reply()));
  mounts.resume();
  EXPECT_TRUE(connection_.is_closed());
  EXPECT_FALSE(mounts.open(input(), [](const OpenProgress&) {}).reply.kept);
  EXPECT_THROW(mounts.serve({"tools", kGeneration, TransportKind::nbd, {}}, {}), Error);
}

TEST_F(ResumeTest, EndsAConnectionWithoutItsSource) {
  StoredMounts left = stored(reply());
  left[kGeneration].erase("source");
  MountTable mounts(opener_, manager_, std::move(left));
  mounts.resume();
  EXPECT_TRUE(connection_.is_closed());
}

/// What the log has about prefetching, which a mount without a cache is refused.
class ResumePrefetchTest : public ResumeTest {
 protected:
  ResumePrefetchTest() {
    set_log_sink([this](LogLevel, std::string_view message, const LogFields&) {
      if (message.find("prefetch: ") != std::string_view::npos) said_ = message;
    });
  }
  ~ResumePrefetchTest() override {
    set_log_sink([](LogLevel, std::string_view, const LogFields&) {});
  }
  void resume() {
    StoredMounts left = stored(reply());
    OpenInput prefetched = input();
    prefetched.definition.prefetch.mode = PrefetchMode::all;
    SourceRecord record(prefetched);
    record.set_opened(reply());
    left[kGeneration].erase("source");
    left[kGeneration].merge(record.to_stored(TransportKind::nbd));
    MountTable mounts(opener_, manager_, std::move(left));
    mounts.resume();
    EXPECT_EQ(mounts.open(input(), [](const OpenProgress&) {}).reply.generation, kGeneration);
  }

  std::string said_;
};

TEST_F(ResumePrefetchTest, BeginsAgain) {
  resume();
  EXPECT_THAT(said_, HasSubstr("there is no cache on disk")) << "it was tried";
}

TEST_F(ResumePrefetchTest, DoesNotBehindAFaultThatItMayHaveCaused) {
  die_by([] { std::abort(); });
  resume();
  EXPECT_THAT(said_, HasSubstr("the last daemon died by a fault of its own"));
  resume();
  EXPECT_THAT(said_, HasSubstr("there is no cache on disk")) << "this time nobody died";
}

TEST_F(ResumeTest, EndsAConnectionThatCannotBeServed) {
  StoredMounts left = stored(reply());
  left[kGeneration].erase(std::string(kStoredPipeRead));
  MountTable mounts(opener_, manager_, std::move(left));
  mounts.open(input(), [](const OpenProgress&) {});
  EXPECT_THROW(mounts.serve({"tools", kGeneration, TransportKind::nbd, {}}, {}), Error);
  EXPECT_TRUE(connection_.is_closed()) << "though connection_ has a copy, as the service manager has";
}

TEST_F(ResumeTest, AShutDownLeavesWhatIsNotAnswered) {
  MountTable mounts(opener_, manager_, stored(reply()));
  mounts.resume();
  mounts.shut_down();
  connection_.ask(1, {1024, 512});
  EXPECT_EQ(why_lost(copy_of(*connection_.server)), "");
}

}  // namespace
}  // namespace erofs_oci
