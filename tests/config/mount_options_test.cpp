// SPDX-License-Identifier: Apache-2.0
#include "config/mount_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci {
namespace {

using json = nlohmann::json;
using Options = std::vector<std::string>;

std::string refusal(const json& value) {
  try {
    MountOptionsCodec::read(value);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "";
}

TEST(MountOptions, AddNodevAndNosuidUnlessToldOtherwise) {
  const std::vector<std::pair<json, Options>> cases = {
      {json::array(), {"nodev", "nosuid"}},
      {{"noatime"}, {"nodev", "nosuid", "noatime"}},
      {{"nosuid", "nodev"}, {"nodev", "nosuid"}},
      {{"dev"}, {"nosuid", "dev"}},
      {{"suid", "dev"}, {"suid", "dev"}},
      {{"ro", "noexec", "noexec", "ro"}, {"nodev", "nosuid", "noexec"}},
      {{"dax=always", "context=a_u:b_r:c_t:s0"}, {"nodev", "nosuid", "dax=always", "context=a_u:b_r:c_t:s0"}},
  };
  for (const auto& [given, in_force] : cases) {
    EXPECT_EQ(MountOptionsCodec::read(given), in_force) << given;
    EXPECT_EQ(MountOptionsCodec::read(MountOptionsCodec::write(in_force)), in_force) << given;
  }
}

TEST(MountOptions, RefuseOthersAndSayWhatToDo) {
  const std::vector<std::pair<json, std::string>> cases = {
      {"nodev", "must be an array of strings, not a string"},
      {{1}, "must be an array of strings only"},
      {{"rw"}, "must not contain \"rw\": an image is read-only"},
      {{"nofail"}, "must not contain \"nofail\": use boot = \"nofail\""},
      {{"_netdev"}, "must not contain \"_netdev\": it is always set"},
      {{"device=/dev/sda"}, "must not contain \"device=/dev/sda\": layers are found by the image"},
      {{"noatim"}, "contains the unknown option \"noatim\"; did you mean \"noatime\"?"},
      {{"zzzzzzzzz"}, "contains the unknown option \"zzzzzzzzz\""},
      {{"nodev,nosuid"}, "must have one option an element, without commas"},
      {{"context="}, "contains the unknown option"},
      {{"context=a,rw"}, "must have one option an element"},
      {{"dax=maybe"}, "contains the unknown option \"dax=maybe\""},
      {{"exec", "noexec"}, "must not contain both \"exec\" and \"noexec\""},
      {{"no\nexec"}, "must not contain control characters"},
      {{""}, "contains the unknown option \"\""},
      {json(Options(65, "ro")), "must not have more than 64 elements"},
  };
  for (const auto& [given, message] : cases)
    EXPECT_THAT(refusal(given), testing::HasSubstr(message)) << given;
}

}  // namespace
}  // namespace erofs_oci
