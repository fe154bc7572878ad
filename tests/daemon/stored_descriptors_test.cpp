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
  void store(const std::string& name) { stored_[name] = open_file("/dev/null", O_RDONLY); }
  void drop() { drop_unclaimed(stored_, states_, ServiceManager()); }

  testing::TemporaryFolder folder_;
  MountStates states_{folder_.path()};
  NotifySocket manager_{folder_ / "notify"};
  std::map<std::string, UniqueFd> stored_;
};

TEST_F(StoredDescriptorsTest, DropsWhatNoStateFileNames) {
  const std::string mounted(32, 'a');
  const std::string gone(32, 'b');
  save_state("tools", mounted);
  for (const std::string& generation : {mounted, gone}) {
    store(connection_name(generation));
    store(table_name(generation));
  }
  drop();
  EXPECT_THAT(stored_, ElementsAre(Key(connection_name(mounted)), Key(table_name(mounted))));
  EXPECT_THAT(manager_.received(), UnorderedElementsAre("FDSTOREREMOVE=1\nFDNAME=" + connection_name(gone),
                                                        "FDSTOREREMOVE=1\nFDNAME=" + table_name(gone)));
}

TEST_F(StoredDescriptorsTest, KeepsWhatIsNoneOfOurs) {
  store("stored");
  store("x.connection");
  drop();
  EXPECT_THAT(stored_, ElementsAre(Key("stored"), Key("x.connection")));
  EXPECT_THAT(manager_.received(), IsEmpty());
}

TEST_F(StoredDescriptorsTest, KeepsAllWhereAStateFileCannotBeRead) {
  save_state("tools", std::string(32, 'a'));
  write_file_durably(folder_ / "mounts/other.json", "{", 0644);
  const std::string name = connection_name(std::string(32, 'b'));
  store(name);
  drop();
  EXPECT_THAT(stored_, ElementsAre(Key(name)));
}

TEST_F(StoredDescriptorsTest, KeepsAllWhereTheFolderCannotBeRead) {
  write_file_durably(folder_ / "mounts", "no folder", 0644);
  const std::string name = connection_name(std::string(32, 'b'));
  store(name);
  drop();
  EXPECT_THAT(stored_, ElementsAre(Key(name)));
}

}  // namespace
}  // namespace erofs_oci
