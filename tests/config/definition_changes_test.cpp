// SPDX-License-Identifier: Apache-2.0
#include "config/definition_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/definition_json.h"
#include "config/definition_schema.h"

namespace erofs_oci {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string_view> keys(const std::vector<DefinitionChange>& changes, TakesEffect when) {
  std::vector<std::string_view> keys;
  for (const DefinitionChange& change : changes) {
    if (change.when == when) keys.push_back(change.key);
  }
  return keys;
}

Definition tools() {
  Definition definition;
  definition.name = "tools";
  definition.image = "registry.example.com/team/tools:1.4";
  definition.mountpoint = "/srv/tools";
  return definition;
}

TEST(DefinitionChanges, NamesWhatDiffersByWhenItTakesEffect) {
  Definition to = tools();
  to.image = "registry.example.com/team/tools:1.5";
  to.boot = BootPolicy::nofail;
  to.io.deadline = std::chrono::seconds(5);
  to.cache.pin = true;
  const auto changes = changes_between(tools(), to);
  EXPECT_THAT(keys(changes, TakesEffect::on_reload), ElementsAre("io.deadline", "cache.pin"));
  EXPECT_THAT(keys(changes, TakesEffect::on_boot), ElementsAre("boot"));
  EXPECT_THAT(keys(changes, TakesEffect::on_restart), ElementsAre("image"));
  EXPECT_THAT(changes_between(to, to), IsEmpty());
}

/// A definition with every key of the schema as different from the default as it gets.
Definition other() {
  Definition to = tools();
  to.image = "other.example.com/x:1";
  to.mountpoint = "/srv/other";
  to.platform = "linux/arm64";
  to.layer = "1";
  to.tarindex = "/a";
  to.zinfo = "/b";
  to.index = IndexPolicy::require;
  to.options = {"noexec"};
  to.transport = TransportChoice::fuse;
  to.boot = BootPolicy::required;
  to.automount = true;
  to.start_timeout = std::chrono::seconds(7);
  to.registry = {"/hosts", true, "/ca", "secret", "http://proxy"};
  to.io = {Unavailable::wait, std::chrono::seconds(7), 4096};
  to.cache = {false, true};
  to.prefetch = {PrefetchMode::all, 4096};
  to.verity_root_hash = std::string(64, 'a');
  return to;
}

// Whoever adds a key decides here, too, when it takes effect.
TEST(DefinitionChanges, PolicyIsWhatTheChangesSay) {
  const auto all = changes_between(tools(), other());
  EXPECT_EQ(all.size(), definition_settings().size()) << "a key is missing in other()";
  const auto left = changes_between(with_policy_of(tools(), other()), other());
  EXPECT_THAT(keys(left, TakesEffect::on_reload), IsEmpty());
  EXPECT_EQ(keys(left, TakesEffect::on_restart), keys(all, TakesEffect::on_restart));
  EXPECT_EQ(keys(left, TakesEffect::on_boot), keys(all, TakesEffect::on_boot));
}

}  // namespace
}  // namespace erofs_oci
