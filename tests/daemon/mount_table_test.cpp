// SPDX-License-Identifier: Apache-2.0
#include "daemon/mount_table.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "base/text.h"
#include "daemon/index_build.h"
#include "daemon/stored_descriptors.h"

namespace erofs_oci {
namespace {

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
  std::map<std::string, UniqueFd> stored;
  stored[connection_name(generation)] = UniqueFd(ends[1]);
  MountTable mounts(opener_, manager_, std::move(stored));
  char byte;
  mounts.close({"tools", random_hex_128()});
  EXPECT_EQ(::read(read_end.get(), &byte, 1), -1) << "it is of another generation";
  mounts.close({"tools", generation});
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 0);
}

}  // namespace
}  // namespace erofs_oci
