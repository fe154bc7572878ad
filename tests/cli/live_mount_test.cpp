// SPDX-License-Identifier: Apache-2.0
#include "cli/live_mount.h"

#include <gmock/gmock.h>

#include "mount/erofs_mount.h"
#include "mount/mounting.h"

namespace erofs_oci {
namespace {

class LiveMountTest : public MountTest {
 protected:
  /// The state of a mount that this makes.
  MountState mount(const std::vector<std::string>& options = {}) {
    auto mounted =
        mount_erofs_file(image_fd_.get(), 4096, {.source = {}, .mountpoint = target(), .options = options});
    MountState state;
    state.phase = MountPhase::mounted;
    state.definition.name = "tools";
    state.definition.mountpoint = target();
    state.transport = TransportKind::fuse;
    state.mount_id = static_cast<uint32_t>(mounted.id());
    state.unique_mount_id = mounted.unique_id();
    state.mount_device = mounted.device();
    mounted.release();
    return state;
  }
  void unmount_by_hand() { ASSERT_EQ(::umount(target().c_str()), 0); }
};

TEST_F(LiveMountTest, FindsWhatWasRecorded) {
  const MountState state = mount();
  const auto found = find_live_mount(state);
  ASSERT_TRUE(found);
  EXPECT_EQ(static_cast<uint32_t>(found->id), *state.mount_id);
}

TEST_F(LiveMountTest, AnotherFilesystemWithTheSameIdIsNotOurs) {
  MountState state = mount();
  unmount_by_hand();
  ASSERT_EQ(::mount("foreign", target().c_str(), "tmpfs", 0, nullptr), 0);
  state.mount_id = static_cast<uint32_t>(find_mount(target())->id);  // most kernels give it the id just freed
  EXPECT_FALSE(find_live_mount(state));
  state.unique_mount_id.reset();  // as recorded before Linux 6.8
  state.mount_device.reset();
  EXPECT_FALSE(find_live_mount(state));
}

TEST_F(LiveMountTest, AnotherErofsWithTheSameIdIsNotOurs) {
  MountState state = mount();
  if (!state.unique_mount_id) GTEST_SKIP() << "needs Linux 6.8, for ids that are not used again";
  unmount_by_hand();
  const MountState other = mount();
  state.mount_id = other.mount_id;
  state.mount_device = other.mount_device;
  EXPECT_FALSE(find_live_mount(state));
  EXPECT_TRUE(find_live_mount(other));
}

TEST_F(LiveMountTest, AnErofsOnAnotherDeviceIsNotOurs) {
  MountState state = mount();
  state.unique_mount_id.reset();
  *state.mount_device += 1;
  EXPECT_FALSE(find_live_mount(state));
}

TEST_F(LiveMountTest, WithoutAStateItIsRecoveredFromUtab) {
  MountState state;
  state.definition.name = "a:b";  // as a name may be
  state.generation = std::string(32, '7');
  const auto mounted = mount({identifying_option(state), "x-erofs-oci=c:" + state.generation, "_netdev"});
  const auto recovered = recover_state("a:b");
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->generation, state.generation);
  EXPECT_EQ(recovered->transport, TransportKind::fuse);
  EXPECT_EQ(recovered->definition.mountpoint, target());
  const auto found = find_live_mount(*recovered);
  ASSERT_TRUE(found);
  EXPECT_EQ(static_cast<uint32_t>(found->id), *mounted.mount_id);
  EXPECT_FALSE(recover_state("c"));
}

TEST_F(LiveMountTest, WhatUtabSaysOfAMountThatIsGoneIsNotBelieved) {
  MountState state;
  state.definition.name = "tools";
  state.generation = std::string(32, '7');
  mount({identifying_option(state)});
  unmount_by_hand();
  EXPECT_FALSE(recover_state("tools"));
  ASSERT_EQ(::mount("foreign", target().c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_FALSE(recover_state("tools"));
}

TEST_F(LiveMountTest, AnOptionThatNamesNoGenerationIsNoneOfOurs) {
  mount({"x-erofs-oci=tools:1", "x-erofs-oci.note=tools:" + std::string(32, '7')});
  EXPECT_FALSE(recover_state("tools"));
}

TEST_F(LiveMountTest, AnErofsOnAnotherNbdDeviceIsNotOurs) {
  MountState state = mount();
  state.transport = TransportKind::nbd;
  state.nbd_index = 4095;
  EXPECT_FALSE(find_live_mount(state));
}

}  // namespace
}  // namespace erofs_oci
