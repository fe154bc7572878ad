// SPDX-License-Identifier: Apache-2.0
#include "control/mount_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_folder.h"

namespace erofs_oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

MountState example() {
  MountState state;
  state.phase = MountPhase::mounted;
  state.generation = std::string(32, 'a');
  state.definition.name = "tools";
  state.definition.image = "registry.example.com/team/tools:1";
  state.definition.mountpoint = "/srv/tools";
  state.definition.layer = "0";
  state.image_digest = sha256(as_bytes("image"));
  state.transport = TransportKind::nbd;
  state.size_bytes = 4096;
  state.block_size = 512;
  state.nbd_index = 3;
  state.mount_id = 77;
  state.control_socket = "/run/erofs-oci/control";
  state.credential_paths = {{"CREDENTIALS_DIRECTORY", "/run/credentials/erofs-oci@tools.service"}};
  return state;
}

class MountStatesTest : public ::testing::Test {
 protected:
  std::string refusal(const std::string& text) {
    std::ofstream(folder_.path() / "mounts/tools.json") << text;
    try {
      states_.load("tools");
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  testing::TemporaryFolder folder_;
  MountStates states_{folder_.path()};
};

TEST_F(MountStatesTest, SaysWhatIsInTheWayOfTheFolder) {
  std::ofstream(folder_.path() / "mounts").put(' ');
  try {
    states_.lock("tools");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), (folder_.path() / "mounts").native() + ": Not a directory");
  }
}

TEST_F(MountStatesTest, LoadsWhatWasSaved) {
  EXPECT_FALSE(states_.load("tools"));
  states_.save(example());
  const auto state = states_.load("tools");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->phase, MountPhase::mounted);
  EXPECT_EQ(state->identifier(), "erofs-oci:tools:" + std::string(32, 'a'));
  EXPECT_EQ(state->definition.image, example().definition.image);
  EXPECT_EQ(state->image_digest, example().image_digest);
  EXPECT_EQ(state->nbd_index, 3u);
  EXPECT_EQ(state->mount_id, 77u);
  EXPECT_EQ(state->credential_paths, example().credential_paths);
}

TEST_F(MountStatesTest, LoadsWhatAVersionWroteThatRememberedNoCredentialPaths) {
  MountState former = example();
  former.credential_paths.clear();
  states_.save(former);  // which leaves out what is empty
  ASSERT_EQ(read_text_file(folder_.path() / "mounts/tools.json", 10'000).find("credential_paths"),
            std::string::npos);
  EXPECT_TRUE(states_.load("tools"));
}

TEST_F(MountStatesTest, NamesAreThoseOfStateFiles) {
  states_.save(example());
  MountState other = example();
  other.definition.name = "a:b";
  states_.save(other);
  std::ofstream(folder_.path() / "mounts/tools.json.new") << "left by a crash";
  EXPECT_THAT(states_.names(), ElementsAre("a:b", "tools"));
  states_.remove("tools");
  states_.remove("tools");
  EXPECT_THAT(states_.names(), ElementsAre("a:b"));
}

TEST_F(MountStatesTest, RefusesDamagedFilesInWords) {
  states_.save(example());
  EXPECT_THAT(refusal(""), HasSubstr("tools.json: is not JSON"));
  EXPECT_THAT(refusal("{}"), HasSubstr("'version' is missing"));
  EXPECT_THAT(refusal("[1]"), HasSubstr("tools.json: "));
}

TEST_F(MountStatesTest, ADamagedFileSaysWhatToDo) {
  states_.save(example());
  EXPECT_THAT(refusal("{"), HasSubstr("unmount that by umount(8), then remove the file"));
}

TEST_F(MountStatesTest, LoadsWhatANewerVersionWrote) {
  states_.save(example());
  const std::filesystem::path path = folder_.path() / "mounts/tools.json";
  auto object = nlohmann::json::parse(std::ifstream(path));
  object["from_the_future"] = 1;
  EXPECT_EQ(refusal(object.dump()), "accepted");
}

TEST_F(MountStatesTest, AFifoIsRefusedAndNotWaitedFor) {
  std::filesystem::create_directories(folder_.path() / "mounts");
  ASSERT_EQ(::mkfifo((folder_.path() / "mounts/tools.json").c_str(), 0600), 0);
  EXPECT_THROW(states_.load("tools"), Error);
}

TEST_F(MountStatesTest, RefusesAStateOfAnotherMount) {
  MountState other = example();
  other.definition.name = "other";
  states_.save(other);
  std::filesystem::rename(folder_.path() / "mounts/other.json", folder_.path() / "mounts/tools.json");
  EXPECT_THROW(states_.load("tools"), Error);
}

TEST_F(MountStatesTest, ALockExcludesAnotherUntilItIsDropped) {
  auto lock = std::make_unique<UniqueFd>(states_.lock("tools"));
  auto second = std::async(std::launch::async, [&] { return states_.lock("tools"); });
  EXPECT_EQ(second.wait_for(100ms), std::future_status::timeout);
  lock.reset();
  EXPECT_TRUE(second.get());
}

TEST_F(MountStatesTest, ALockNeedsAName) { EXPECT_THROW(states_.lock("../escape"), Error); }

}  // namespace
}  // namespace erofs_oci
