// SPDX-License-Identifier: Apache-2.0
#include "config/definition_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "config/definition_schema.h"

namespace erofs_oci {
namespace {

using json = nlohmann::json;

/// A value other than the default for each key.
const std::map<std::string_view, json> kOthers = {
    {"image", "localhost:5000/a/b@sha256:" + std::string(64, '1')},
    {"mountpoint", "/srv/other"},
    {"platform", "linux/arm/v7"},
    {"layer", 2},
    {"tarindex", "/i/t"},
    {"zinfo", "/i/z"},
    {"index", "registry"},
    {"options", {"nosuid", "dev", "noatime"}},
    {"transport", "nbd"},
    {"boot", "required"},
    {"automount", true},
    {"start_timeout", "1500ms"},
    {"registry.hosts_dir", "/h"},
    {"registry.insecure", true},
    {"registry.ca", "/c"},
    {"registry.credential", "login"},
    {"registry.proxy", "socks5h://p:1"},
    {"io.on_unavailable", "wait"},
    {"io.deadline", "120s"},
    {"io.read_ahead", 65536},
    {"cache.enabled", true},
    {"cache.pin", true},
    {"prefetch.mode", "all"},
    {"prefetch.rate", 4096},
    {"verity.root_hash", std::string(64, 'b')},
};

json complete() {
  json object = {{"name", "tools"}};
  for (const auto& [key, value] : kOthers) put_nested(object, key, value);
  return object;
}

std::string refusal(const json& object) {
  try {
    definition_from_json(object);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "";
}

TEST(DefinitionJson, EveryKeySurvivesARoundTrip) {
  for (const auto& setting : definition_settings()) EXPECT_TRUE(kOthers.contains(setting.key)) << setting.key;
  EXPECT_EQ(to_json(definition_from_json(complete())), complete());
}

TEST(DefinitionJson, DefaultsSurviveARoundTrip) {
  const json minimal = {{"name", "tools"}, {"image", "a"}, {"mountpoint", "/a"}};
  const json written = to_json(definition_from_json(minimal));
  EXPECT_EQ(to_json(definition_from_json(written)), written);
  EXPECT_FALSE(written.contains("layer"));
  EXPECT_EQ(written["io"]["deadline"], "60s");
}

TEST(DefinitionJson, LayerByDigestSurvivesARoundTrip) {
  json object = complete();
  object["layer"] = "sha256:" + std::string(64, 'c');
  EXPECT_EQ(to_json(definition_from_json(object)), object);
}

TEST(DefinitionJson, RefusesWhatItDoesNotKnow) {
  const std::vector<std::pair<json, std::string>> patches = {
      {{{"colour", "red"}}, "definition: unknown key 'colour'"},
      {{{"registry", {{"insecur", true}}}}, "did you mean 'registry.insecure'?"},
      {{{"registry.ca", "/x"}}, "unknown key '\"registry.ca\"'"},
      {{{"registry", nullptr}}, "'registry' is a section"},
      {{{"name", "a/b"}}, "'a/b' is not a valid name"},
      {{{"name", 5}}, "must be a string, not a number"},
      {{{"layer", nullptr}}, "'layer' must be a number from 0 or a digest, not null"},
      {{{"image", {{"deep", {{"er", 1}}}}}}, "'image' must be a string, not a table"},
  };
  for (const auto& [patch, message] : patches) {
    json object = complete();
    object.update(patch);
    EXPECT_THAT(refusal(object), testing::HasSubstr(message)) << patch;
  }
  EXPECT_THAT(refusal(json::array()), testing::HasSubstr("definition: must be a JSON object"));
  EXPECT_THAT(refusal(json{{"image", "a"}, {"mountpoint", "/a"}}), testing::HasSubstr("'name' is missing"));
}

}  // namespace
}  // namespace erofs_oci
