// SPDX-License-Identifier: Apache-2.0
// Holds the man page and the examples against the tables of keys.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

#include "base/file.h"
#include "config/daemon_settings.h"
#include "config/definition_file.h"
#include "config/definition_schema.h"
#include "config/toml_reader.h"

namespace erofs_oci {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::filesystem::path kSource = std::filesystem::path(TEST_DATA_DIR) / "../..";

std::string read(const char* path) {
  return read_text_file(kSource / path, 1 << 20);
}

std::string man_page() {
  return read("packaging/man/erofs-oci.toml.5.scd");
}

/// The text with every run of blanks as one space.
std::string normalised(const std::string& text) {
  return std::regex_replace(text, std::regex("\\s+"), " ");
}

/// From the heading `begin` to the next one of the same level.
std::string section(const std::string& begin) {
  const std::string page = man_page();
  const std::string level = "\n" + begin.substr(0, begin.find(' ') + 1);
  const size_t start = page.find("\n" + begin + "\n");
  EXPECT_NE(start, std::string::npos) << begin;
  const size_t end = std::min(page.find(level, start + 1), page.find("\n# ", start + 1));
  return page.substr(start, end - start);
}

/// "*layer* = _number | digest_ (default: all, merged) Mount one layer instead of the whole image."
template <typename T>
std::string entry(const Setting<T>& setting) {
  const std::string name(setting.key.substr(setting.key.rfind('.') + 1));
  const std::string given =
      setting.default_text == "required" ? "required" : fmt::format("default: {}", setting.default_text);
  return fmt::format("*{}* = _{}_ ({}) {}.", name, setting.type, given, setting.doc);
}

TEST(ManPage, HasEveryKeyOfADefinitionInItsSection) {
  for (const auto& setting : definition_settings()) {
    const size_t dot = setting.key.find('.');
    const std::string heading =
        dot == std::string_view::npos ? "# KEYS" : fmt::format("## [{}]", setting.key.substr(0, dot));
    EXPECT_THAT(normalised(section(heading)), HasSubstr(entry(setting)));
  }
}

TEST(ManPage, HasEveryKeyOfTheDaemon) {
  for (const auto& setting : daemon_settings())
    EXPECT_THAT(normalised(section("# DAEMON")), HasSubstr(entry(setting)));
}

TEST(ManPage, HasNoKeyThatIsNotKnown) {
  const std::string page = man_page();
  const std::regex heading("\n\\*\\w+\\* = _");
  const auto count =
      std::distance(std::sregex_iterator(page.begin(), page.end(), heading), std::sregex_iterator());
  EXPECT_EQ(static_cast<size_t>(count), definition_settings().size() + daemon_settings().size());
}

/// The lines of an example without the '#' that hides a key or section.
std::string uncommented(const std::string& text) {
  return std::regex_replace(text, std::regex("(^|\n)#(?=[a-z_]+ = |\\[)"), "$1");
}

std::set<std::string> keys_in(const std::string& text) {
  std::set<std::string> keys;
  for (const Entry& found : read_toml(text, "example").entries) {
    if (!found.value.is_object()) keys.insert(found.key);
  }
  return keys;
}

TEST(ExampleDefinition, IsValidAsItStandsAndWithEveryKey) {
  const std::string text = read("config/example.toml");
  EXPECT_NO_THROW(parse_definition(text, "example.toml", "example"));
  EXPECT_NO_THROW(parse_definition(uncommented(text), "example.toml", "example"));
  const auto keys = keys_of(definition_settings());
  EXPECT_EQ(keys_in(uncommented(text)), std::set<std::string>(keys.begin(), keys.end()));
}

TEST(ExampleDaemonSettings, AreValidAndHaveEveryKey) {
  const std::string text = read("config/erofs-ocid.conf");
  EXPECT_NO_THROW(parse_daemon_settings(text, "conf"));
  EXPECT_NO_THROW(parse_daemon_settings(uncommented(text), "conf"));
  const auto keys = keys_of(daemon_settings());
  EXPECT_EQ(keys_in(uncommented(text)), std::set<std::string>(keys.begin(), keys.end()));
}

/// The value that a documented default stands for: "90s", false, 6, ["nodev", "nosuid"].
template <typename T>
json documented_default(const Setting<T>& setting) {
  const std::string text(setting.default_text);
  if (setting.type == "array of strings") {
    json list = json::array();
    std::istringstream words(std::regex_replace(text, std::regex(","), ""));
    for (std::string word; words >> word;) list.push_back(word);
    return list;
  }
  const json value = json::parse(text, nullptr, false);
  return value.is_discarded() ? json(text) : value;
}

/// Reading the documented default changes nothing; where a key is not set by default, the text says so in
/// words.
template <typename T>
void expect_defaults_are_as_documented(std::span<const Setting<T>> settings) {
  const std::set<std::string_view> words = {"none",         "this host's", "all, merged", "the environment's",
                                            "unlimited", "one a core"};
  for (const auto& setting : settings) {
    if (setting.default_text == "required") continue;
    const json by_default = setting.write(T{});
    EXPECT_EQ(by_default.is_null(), words.contains(setting.default_text) && setting.key != "prefetch.mode")
        << setting.key;
    if (by_default.is_null()) continue;
    T other;
    setting.read(documented_default(setting), other);
    EXPECT_EQ(setting.write(other), by_default) << setting.key;
  }
}

TEST(DocumentedDefaults, AreTheRealOnes) {
  expect_defaults_are_as_documented(definition_settings());
  expect_defaults_are_as_documented(daemon_settings());
}

}  // namespace
}  // namespace erofs_oci
