// SPDX-License-Identifier: Apache-2.0
#include "config/daemon_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

using testing::HasSubstr;

std::string refusal(const std::string& text) {
  try {
    parse_daemon_settings(text, "erofs-ocid.conf");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "";
}

TEST(DaemonSettings, AreReadFromEveryKey) {
  const DaemonSettings settings = parse_daemon_settings(
      "cache_dir = \"/big/cache\"\ncache_limit = \"1GiB\"\nmemory_limit = 33554432\nconnections_per_host = "
      "12\n"
      "workers = 3\nlog_level = \"debug\"\n",
      "erofs-ocid.conf");
  EXPECT_EQ(settings.cache_dir, "/big/cache");
  EXPECT_EQ(settings.cache_limit, 1u << 30);
  EXPECT_EQ(settings.memory_limit, 32u << 20);
  EXPECT_EQ(settings.connections_per_host, 12u);
  EXPECT_EQ(settings.workers, 3u);
  EXPECT_EQ(settings.log_level, LogLevel::debug);
}

TEST(DaemonSettings, EveryLogLevelGoesByItsName) {
  const std::vector<std::pair<std::string, LogLevel>> levels = {{"error", LogLevel::error},
                                                                {"warning", LogLevel::warning},
                                                                {"notice", LogLevel::notice},
                                                                {"info", LogLevel::info},
                                                                {"debug", LogLevel::debug}};
  for (const auto& [name, level] : levels) {
    EXPECT_EQ(parse_daemon_settings("log_level = \"" + name + "\"", "x").log_level, level);
  }
}

TEST(DaemonSettings, AreAsStrictAsDefinitions) {
  EXPECT_THAT(refusal("\nmemory_limt = 1"),
              HasSubstr("erofs-ocid.conf:2: unknown key 'memory_limt'; did you mean 'memory_limit'?"));
  EXPECT_THAT(refusal("memory_limit = \"31MiB\""),
              HasSubstr("erofs-ocid.conf:1: 'memory_limit' must be from 32.0 MiB to"));
  EXPECT_THAT(refusal("workers = 0"), HasSubstr("'workers' must be a whole number from 1 to 256"));
  EXPECT_THAT(refusal("connections_per_host = 1.5"),
              HasSubstr("must be a whole number from 1 to 64, not a number with a fraction"));
  EXPECT_THAT(refusal("cache_dir = \"cache\""), HasSubstr("must be an absolute path"));
  EXPECT_THAT(refusal("log_level = \"warnin\""), HasSubstr("did you mean \"warning\"?"));
  EXPECT_THAT(refusal("[cache]\ndir = 1"), HasSubstr("unknown section [cache]"));
}

TEST(DaemonSettings, AreTheDefaultsWhereTheFileIsMissing) {
  const DaemonSettings settings = load_daemon_settings(testing::TempDir() + "no/such/erofs-ocid.conf");
  EXPECT_EQ(settings.memory_limit, 64u << 20);
  EXPECT_FALSE(settings.workers);
}

TEST(DaemonSettings, AreLoadedFromAFile) {
  const std::string path = testing::TempDir() + "daemon_settings_test.conf";
  write_file_durably(path, "workers = 7", 0600);
  EXPECT_EQ(load_daemon_settings(path).workers, 7u);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace erofs_oci
