// SPDX-License-Identifier: Apache-2.0
#include "daemon/stored_descriptors.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::UnorderedElementsAre;

/// Receives what the daemon tells its service manager.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~NotifySocket() { ::unsetenv("NOTIFY_SOCKET"); }

  std::vector<std::string> received() {
    std::vector<std::string> messages;
    char buffer[512];
    for (ssize_t count; (count = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0;) {
      messages.emplace_back(buffer, static_cast<size_t>(count));
    }
    return messages;
  }

 private:
  UniqueFd fd_;
};

class StoredDescriptorsTest : public ::testing::Test {
 protected:
  void save_state(const std::string& name, const std::string& generation) {
    MountState state;
    state.generation = generation;
    state.definition.name = name;
    state.definition.image = "registry.example.com/tools:1";
    state.definition.mountpoint = "/mnt/tools";
    states_.save(state);
  }
  void store(const std::string& generation) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ::close(ends[0]);  // the kernel has let go of it
    stored_[generation].emplace(kStoredConnection, UniqueFd(ends[1]));
    stored_[generation].emplace(kStoredTable, open_file("/dev/null", O_RDONLY));
  }
  void drop() { drop_unclaimed(stored_, states_, daemon_); }

  testing::TemporaryFolder folder_;
  MountStates states_{folder_.path()};
  NotifySocket manager_{folder_ / "notify"};
  ServiceManager daemon_;
  StoredMounts stored_;
};

const std::string kMounted(32, 'a');
const std::string kGone(32, 'b');

TEST_F(StoredDescriptorsTest, SortsByGenerationAndForgetsWhatIsNoneOfOurs) {
  std::map<std::string, UniqueFd> passed;
  for (const char* name : {"stored", "x.connection"}) passed[name] = open_file("/dev/null", O_RDONLY);
  passed[stored_name(kMounted, "table")] = open_file("/dev/null", O_RDONLY);
  passed[stored_name(kMounted, "image")] = open_file("/dev/null", O_RDONLY);
  const StoredMounts stored = sort_stored(std::move(passed), daemon_);
  ASSERT_THAT(stored, ElementsAre(Key(kMounted)));
  EXPECT_THAT(stored.at(kMounted), ElementsAre(Key("image"), Key("table")));
  EXPECT_THAT(manager_.received(),
              UnorderedElementsAre("FDSTOREREMOVE=1\nFDNAME=stored", "FDSTOREREMOVE=1\nFDNAME=x.connection"));
}

TEST_F(StoredDescriptorsTest, DropsWhatNoStateFileNames) {
  save_state("tools", kMounted);
  store(kMounted);
  store(kGone);
  drop();
  EXPECT_THAT(stored_, ElementsAre(Key(kMounted)));
  EXPECT_THAT(manager_.received(), UnorderedElementsAre("FDSTOREREMOVE=1\nFDNAME=" + kGone + ".connection",
                                                        "FDSTOREREMOVE=1\nFDNAME=" + kGone + ".table"));
}

TEST_F(StoredDescriptorsTest, KeepsWhatTheKernelIsConnectedTo) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd kernel(ends[0]);
  stored_[kGone].emplace(kStoredConnection, UniqueFd(ends[1]));
  drop();
  EXPECT_THAT(stored_, ElementsAre(Key(kGone)));
  kernel.reset();
  drop();
  EXPECT_THAT(stored_, IsEmpty());
}

TEST_F(StoredDescriptorsTest, KeepsAllWhereAStateFileCannotBeRead) {
  save_state("tools", kMounted);
  write_file_durably(folder_ / "mounts/other.json", "{", 0644);
  store(kGone);
  drop();
  EXPECT_THAT(stored_, ElementsAre(Key(kGone)));
}

TEST_F(StoredDescriptorsTest, KeepsAllWhereTheFolderCannotBeRead) {
  write_file_durably(folder_ / "mounts", "no folder", 0644);
  store(kGone);
  drop();
  EXPECT_THAT(stored_, ElementsAre(Key(kGone)));
}

/// As many descriptors as there are parts, under names of that length.
std::map<std::string, int> parts_of(const std::string& generation, size_t count, size_t part_length, int fd) {
  std::map<std::string, int> parts;
  for (size_t i = 0; i < count; ++i) {
    parts.emplace(stored_name(generation, fmt::format("{:0{}}", i, part_length)), fd);
  }
  return parts;
}

TEST(ServiceManagerTest, RefusesNamesThatNoProgramCanBeStartedWith) {
  constexpr size_t kMaxEnvironmentString = 131072;  // MAX_ARG_STRLEN, with the variable's name and the end
  static_assert(ServiceManager::kMaxNameBytes + sizeof "LISTEN_FDNAMES=" < kMaxEnvironmentString);
  ServiceManager manager;
  const UniqueFd fd = open_file("/dev/null", O_RDONLY);
  constexpr size_t kLayout = 33 + 9 + 1;  // "layout-17" and the like
  const size_t fit = ServiceManager::kMaxNameBytes / kLayout;
  const auto many = parts_of(kMounted, fit, 9, fd.get());
  manager.store(many);
  manager.store(many);  // which are there
  const auto more = parts_of(kGone, 2, 9, fd.get());
  try {
    manager.store(more);
    FAIL() << "takes more than fits";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::no_space);
    EXPECT_THAT(error.what(), HasSubstr("120000 bytes"));
    EXPECT_THAT(error.what(), HasSubstr("unmount another one first"));
  }
  manager.forget(many.begin()->first);
  manager.forget(many.rbegin()->first);
  manager.store(more);
}

TEST(ServiceManagerTest, RefusesMoreThanTheUnitHasKept) {
  ServiceManager manager;
  const UniqueFd fd = open_file("/dev/null", O_RDONLY);
  manager.store(parts_of(kMounted, ServiceManager::kMaxStored, 4, fd.get()));
  EXPECT_THROW(manager.store(parts_of(kGone, 1, 4, fd.get())), Error);
}

TEST_F(StoredDescriptorsTest, NothingIsStoredOfWhatIsTooMuch) {
  const UniqueFd fd = open_file("/dev/null", O_RDONLY);
  EXPECT_THROW(daemon_.store(parts_of(kMounted, 1, ServiceManager::kMaxNameBytes, fd.get())), Error);
  EXPECT_THAT(manager_.received(), IsEmpty());
}

}  // namespace
}  // namespace erofs_oci
