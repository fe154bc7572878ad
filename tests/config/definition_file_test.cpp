// SPDX-License-Identifier: Apache-2.0
#include "config/definition_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "config/toml_reader.h"

namespace erofs_oci {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::chrono_literals;

const std::string kMinimal = "image = \"registry.example.com/team/tools:1.4\"\nmountpoint = \"/srv/tools\"\n";
const std::string kDigest = "sha256:" + std::string(64, 'a');

Definition parse(const std::string& text) {
  return parse_definition(text, "tools.toml", "tools");
}

/// The message of the Error invalid that parsing `text` ends with; empty where it succeeds.
std::string refusal(const std::string& text) {
  try {
    parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid) << error.what();
    return error.what();
  }
  return "";
}

TEST(ParseDefinition, NeedsImageAndMountpointOnlyAndDefaultsTheRest) {
  const Definition definition = parse(kMinimal);
  EXPECT_EQ(definition.name, "tools");
  EXPECT_EQ(definition.image, "registry.example.com/team/tools:1.4");
  EXPECT_EQ(definition.mountpoint, "/srv/tools");
  EXPECT_FALSE(definition.layer);
  EXPECT_THAT(definition.options, ElementsAre("nodev", "nosuid"));
  EXPECT_EQ(definition.start_timeout, 90s);
  EXPECT_TRUE(definition.cache.enabled);
}

TEST(ParseDefinition, ReadsEveryKey) {
  const Definition definition = parse(kMinimal + R"(
platform = "linux/arm64/v8"
layer = 3
tarindex = "/a/x.erofs"
zinfo = "/a/x.zinfo"
index = "require"
options = ["noexec", "suid"]
transport = "fuse"
boot = "nofail"
automount = true
start_timeout = "2m"
[registry]
hosts_dir = "/etc/containerd/certs.d"
insecure = true
ca = "/etc/ca.pem"
credential = "registry-login"
proxy = "http://proxy:3128"
[io]
on_unavailable = "wait"
deadline = 1.5
read_ahead = "1MiB"
[cache]
pin = true
[prefetch]
mode = "trace"
rate = "10MiB"
[verity]
root_hash = ")" + std::string(64, 'A') +
                                      "\"\n");
  EXPECT_EQ(definition.platform, "linux/arm64/v8");
  EXPECT_EQ(definition.layer, "3");
  EXPECT_EQ(definition.tarindex, "/a/x.erofs");
  EXPECT_EQ(definition.zinfo, "/a/x.zinfo");
  EXPECT_EQ(definition.index, IndexPolicy::require);
  EXPECT_THAT(definition.options, ElementsAre("nodev", "noexec", "suid"));
  EXPECT_EQ(definition.transport, TransportChoice::fuse);
  EXPECT_EQ(definition.boot, BootPolicy::nofail);
  EXPECT_TRUE(definition.automount);
  EXPECT_EQ(definition.start_timeout, 2min);
  EXPECT_EQ(definition.registry.hosts_dir, "/etc/containerd/certs.d");
  EXPECT_TRUE(definition.registry.insecure);
  EXPECT_EQ(definition.registry.ca, "/etc/ca.pem");
  EXPECT_EQ(definition.registry.credential, "registry-login");
  EXPECT_EQ(definition.registry.proxy, "http://proxy:3128");
  EXPECT_EQ(definition.io.on_unavailable, Unavailable::wait);
  EXPECT_EQ(definition.io.deadline, 1500ms);
  EXPECT_EQ(definition.io.read_ahead, 1u << 20);
  EXPECT_TRUE(definition.cache.pin);
  EXPECT_EQ(definition.prefetch.mode, PrefetchMode::trace);
  EXPECT_EQ(definition.prefetch.rate, 10u << 20);
  EXPECT_EQ(definition.verity_root_hash, std::string(64, 'a'));
}

TEST(ParseDefinition, NamesFileLineAndRemedyForEveryMistake) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"moutpoint = \"/x\"", "tools.toml:3: unknown key 'moutpoint'; did you mean 'mountpoint'?"},
      {"\n\nzzzzzzz = 1", "tools.toml:5: unknown key 'zzzzzzz'"},
      {"insecure = true",
       "tools.toml:3: unknown key 'insecure'; did you mean 'insecure' in section [registry]?"},
      {"[io]\nboot = \"off\"",
       "tools.toml:4: unknown key 'io.boot'; did you mean 'boot', above all [sections]?"},
      {"[registry]\nproxi = \"x\"",
       "tools.toml:4: unknown key 'registry.proxi'; did you mean 'registry.proxy'?"},
      {"[regstry]\n", "tools.toml:3: unknown section [regstry]; did you mean [registry]?"},
      {"[registry.ca]\n", "tools.toml:3: 'registry.ca' must be a string, not a table"},
      {"[[registry]]\n", "tools.toml:3: 'registry' is a section: write [registry] and its keys below it"},
      {"\"registry.ca\" = \"/x\"", "tools.toml:3: unknown key '\"registry.ca\"'"},
      {"layer = true", "tools.toml:3: 'layer' must be a number from 0 or a digest, not true or false"},
      {"layer = -1", "tools.toml:3: 'layer' must be a whole number from 0 to 9999"},
      {"layer = \"0\"", "tools.toml:3: 'layer' must be a number from 0, without quotes, or sha256:"},
      {"automount = \"yes\"", "tools.toml:3: 'automount' must be true or false, not a string"},
      {"transport = \"ndb\"",
       "tools.toml:3: 'transport' must be one of \"auto\", \"nbd\", \"fuse\"; did you mean \"nbd\"?"},
      {"start_timeout = \"soon\"", "tools.toml:3: 'start_timeout' must be a duration such as"},
      {"start_timeout = 0", "tools.toml:3: 'start_timeout' must be from 1s to 86400s"},
      {"io.read_ahead = 1.5", "tools.toml:3: 'io.read_ahead' must be a size such as \"64MiB\""},
      {"io.read_ahead = \"1GiB\"", "tools.toml:3: 'io.read_ahead' must be from 0 B to 128.0 MiB"},
      {"platform = \"linux\"", "tools.toml:3: 'platform' must be os/architecture"},
      {"platform = \"linux//v8\"", "tools.toml:3: 'platform' must be os/architecture"},
      {"registry.ca = \"ca.pem\"", "tools.toml:3: 'registry.ca' must be an absolute path"},
      {"registry.proxy = \"proxy:3128\"", "tools.toml:3: 'registry.proxy' must be a URL"},
      {"verity.root_hash = \"abc\"", "tools.toml:3: 'verity.root_hash' must be 64 hex digits"},
      {"platform = 1979-05-27", "tools.toml:3: dates and times are not taken by any key"},
      {"image = \"a\"", "tools.toml:3: this key or section is given twice"},
      {"platform = ", "tools.toml:3: not valid TOML: "},
      {"ca = \"\\u0007\"\n", "tools.toml:3: unknown key 'ca'"},
      {"registry.ca = \"/a\\u0007\"", "tools.toml:3: 'registry.ca' must not contain control characters"},
      {"zinfo = \"\"\"x\"\"\"", "tools.toml:3: multi-line strings are not taken here"},
  };
  for (const auto& [line, message] : cases) EXPECT_THAT(refusal(kMinimal + line), HasSubstr(message)) << line;
}

TEST(ParseDefinition, ReportsTheFirstOfSeveralMistakes) {
  EXPECT_THAT(refusal("xx1 = 1\nxx2 = 1\nxx3 = 1\nxx4 = 1\n"), HasSubstr("tools.toml:1: unknown key 'xx1'"));
}

TEST(ParseDefinition, SaysWhichKeyIsMissingAndHowToAddIt) {
  EXPECT_EQ(refusal("mountpoint = \"/srv/tools\""),
            "tools.toml: 'image' is missing: add image = \"registry.example.com/team/tools:1.4\"");
  EXPECT_EQ(refusal("image = \"a\""), "tools.toml: 'mountpoint' is missing: add mountpoint = \"/srv/tools\"");
}

TEST(ParseDefinition, NeverRepeatsWhatMayBeASecret) {
  for (const char* line : {"registry.credential = \"user:hunter2\"", "registry.credential = [\"hunter2\"]",
                           "registry.proxy = \"http://user:hunter2@proxy\""}) {
    const std::string message = refusal(kMinimal + line);
    EXPECT_THAT(message, HasSubstr("tools.toml:3: 'registry.")) << line;
    EXPECT_THAT(message, Not(HasSubstr("hunter2"))) << line;
  }
}

TEST(ParseDefinition, TakesOnlyNormalisedMountpointsBelowTheRoot) {
  const auto with = [](const std::string& path) {
    return refusal("image = \"a\"\nmountpoint = \"" + path + "\"\n");
  };
  EXPECT_EQ(with("/srv/a b/ü"), "");
  EXPECT_THAT(with("srv/tools"), HasSubstr("must be an absolute path"));
  EXPECT_THAT(with("/"), HasSubstr("must not be the root of the file system"));
  EXPECT_THAT(with("/srv/.."), HasSubstr("must not be the root of the file system"));
  for (const char* path : {"/srv/tools/", "//srv/tools", "/srv/./tools", "/srv/x/../tools", "/srv//tools"}) {
    EXPECT_THAT(with(path),
                HasSubstr("tools.toml:2: 'mountpoint' must be written in its shortest form, \"/srv/tools\""))
        << path;
  }
}

TEST(ParseDefinition, KnowsWhichKeysTheFiveKindsOfSourceNeed) {
  const std::string tarindex = "tarindex = \"/x.erofs\"\n";
  const std::string zinfo = "zinfo = \"/x.zinfo\"\n";
  for (const std::string& files : {tarindex + zinfo, tarindex, zinfo, std::string()}) {
    EXPECT_EQ(refusal(kMinimal + "layer = 0\n" + files), "") << files;
    EXPECT_EQ(refusal("image = \"file:/x\"\nmountpoint = \"/srv/tools\"\n" + files), "") << files;
    EXPECT_EQ(refusal(kMinimal + "layer = \"" + kDigest + "\"\n" + files), "") << files;
  }
  EXPECT_EQ(refusal(kMinimal), "");
  for (const std::string& files : {tarindex + zinfo, tarindex, zinfo}) {
    EXPECT_THAT(refusal(kMinimal + files), HasSubstr("tools.toml:3: '")) << files;
    EXPECT_THAT(refusal(kMinimal + files), HasSubstr("describes one layer: add layer = 0")) << files;
  }
  EXPECT_THAT(refusal("image = \"file:/x\"\nmountpoint = \"/srv/tools\"\nlayer = 0\n"),
              HasSubstr("tools.toml:3: 'layer' has no meaning for a file: or tar: image: remove it"));
}

TEST(ParseDefinition, RefusesKeysThatContradictEachOther) {
  EXPECT_THAT(refusal(kMinimal + "index = \"registry\""),
              HasSubstr("tools.toml:3: 'index' = \"registry\" takes an index"));
  EXPECT_THAT(refusal("image = \"oci:/x\"\nmountpoint = \"/a\"\nindex = \"registry\""),
              HasSubstr("needs an image in a registry"));
  EXPECT_THAT(refusal(kMinimal + "[cache]\nenabled = false\npin = true"),
              HasSubstr("tools.toml:5: 'cache.pin' needs the cache"));
  EXPECT_THAT(refusal(kMinimal + "[cache]\nenabled = false\n[prefetch]\nmode = \"all\""),
              HasSubstr("tools.toml:6: 'prefetch.mode' needs the cache"));
}

TEST(ParseDefinition, RefusesWhatIsTooLargeOrTooDeep) {
  EXPECT_THAT(refusal(kMinimal + std::string(kMaxTomlBytes, '#')), HasSubstr("is larger than 1.0 MiB"));
  EXPECT_THAT(refusal("a = " + std::string(100'000, '[')),
              HasSubstr("tools.toml:1: nested more than 8 levels deep"));
  EXPECT_THAT(refusal("a = \"[[[[[\"\nb = [[[[\n[[[[[[["),
              HasSubstr("tools.toml:3: nested more than 8 levels deep"));
  std::string dotted = "a";
  for (int i = 0; i < 100'000; ++i) dotted += ".a";
  EXPECT_THAT(refusal(dotted + " = 1"), HasSubstr("nested more than 8 levels deep"));
  std::string keys;
  for (int i = 0; i < 2000; ++i) keys += "k" + std::to_string(i) + " = 1\n";
  EXPECT_THAT(refusal(keys), HasSubstr("has more than 1024 keys"));
}

TEST(ParseDefinition, RefusesBytesThatAreNotText) {
  const std::string nul(1, '\0');
  for (const std::string& bad : {nul, std::string("\x01"), std::string("\x7f"), std::string("\xff"),
                                 std::string("\xc3"), std::string("\r")}) {
    for (const std::string before : {"#", "", "zinfo = \"", "zinfo = '"}) {
      const std::string text = kMinimal + before + bad + "\"\n#";
      EXPECT_THAT(refusal(text), HasSubstr("tools.toml:3: a control character, or bytes that are not UTF-8"))
          << text;
    }
  }
  EXPECT_EQ(refusal(kMinimal + "#\tü\r\n"), "");
}

TEST(ParseDefinition, CountsNoBracketsInStringsAndComments) {
  EXPECT_EQ(refusal("# [[[[[[[[[[ 'it's\n" + kMinimal +
                    "tarindex = \"/[[[[[[[[[[\\\"[\" # ]\nlayer = 0\nzinfo = '/[[[[[[[[[['\n"),
            "");
}

TEST(MountName, FollowsItsGrammar) {
  for (const char* good : {"a", "9", "my-tools_1.4:x", "A"}) EXPECT_TRUE(is_mount_name(good)) << good;
  for (const char* bad : {"", ".", "-a", ":a", "a/b", "a b", "ä", "a\n"})
    EXPECT_FALSE(is_mount_name(bad)) << bad;
  EXPECT_TRUE(is_mount_name(std::string(128, 'a')));
  EXPECT_FALSE(is_mount_name(std::string(129, 'a')));
  EXPECT_THROW(parse_definition(kMinimal, "x.toml", "a/b"), Error);
}

class DefinitionFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "definitions.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void add(const std::string& file, const std::string& text = kMinimal) {
    write_file_durably(folder_ / file, text, 0600);
  }
  std::string missing(const std::string& name) {
    try {
      return find_definition(name, folder_).native();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::not_found);
      return error.what();
    }
  }
  std::filesystem::path folder_;
};

TEST_F(DefinitionFolder, LoadTakesTheNameFromTheFile) {
  add("my-tools.toml");
  EXPECT_EQ(load_definition(folder_ / "my-tools.toml").name, "my-tools");
}

TEST_F(DefinitionFolder, LoadNamesTheFileInErrors) {
  add("bad.toml", "x");
  add("bad.conf");
  add("bad name.toml");
  for (const char* file : {"bad.toml", "bad.conf", "bad name.toml", "absent.toml"}) {
    try {
      load_definition(folder_ / file);
      ADD_FAILURE() << file;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::StartsWith((folder_ / file).native() + ":"));
    }
  }
}

TEST_F(DefinitionFolder, LoadDoesNotWaitForAFifo) {
  const auto path = folder_ / "tools.toml";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  try {
    load_definition(path);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("tools.toml: is no regular file"));
  }
}

TEST_F(DefinitionFolder, FindGivesThePathOfAName) {
  add("tools.toml");
  EXPECT_EQ(find_definition("tools", folder_), folder_ / "tools.toml");
}

TEST_F(DefinitionFolder, FindSuggestsANearNameElseListsWhatThereIs) {
  EXPECT_THAT(missing("tools"), HasSubstr("tools.toml does not exist; there are no definitions yet"));
  for (const char* name : {"tools", "a", "b", "c", "d", "e"}) add(std::string(name) + ".toml");
  EXPECT_THAT(missing("tols"), HasSubstr("tols.toml does not exist; did you mean 'tools'?"));
  EXPECT_THAT(missing("something"), HasSubstr("; there are a, b, c, d, e and 1 more"));
}

TEST_F(DefinitionFolder, ListSkipsWhatIsNoDefinition) {
  add("b.toml");
  add("a.toml");
  add("erofs-ocid.conf");
  add(".hidden.toml");
  EXPECT_THAT(list_definitions(folder_), ElementsAre("a", "b"));
  EXPECT_THAT(list_definitions(folder_ / "absent"), testing::IsEmpty());
}

}  // namespace
}  // namespace erofs_oci
