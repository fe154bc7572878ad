// SPDX-License-Identifier: Apache-2.0
#include "config/capabilities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci {
namespace {

std::string refusal(const Definition& definition) {
  try {
    check_capabilities(definition);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    return error.what();
  }
  return "accepted";
}

TEST(Capabilities, TheDefaultsAskForNothingThatIsMissing) { EXPECT_EQ(refusal({}), "accepted"); }

TEST(Capabilities, AMissingProtectionIsRefusedAndNamed) {
  Definition definition;
  definition.verity_root_hash = std::string(64, 'a');
  EXPECT_EQ(refusal(definition), "this version cannot do what verity.root_hash asks for; leave it out");
}

TEST(Capabilities, EachKeyThatIsAskedForIsRefused) {
  std::vector<Definition> asking(2);
  asking[0].registry.hosts_dir = "/etc/containerd/certs.d";
  asking[1].index = IndexPolicy::registry;
  for (const Definition& definition : asking) EXPECT_THAT(refusal(definition), ::testing::HasSubstr("cannot do"));
}

}  // namespace
}  // namespace erofs_oci
