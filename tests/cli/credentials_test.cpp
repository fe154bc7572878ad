// SPDX-License-Identifier: Apache-2.0
#include "cli/credentials.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_folder.h"

namespace erofs_oci {
namespace {

using ::testing::HasSubstr;

class CredentialsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    definition_.name = "tools";
    definition_.image = "registry.example.com/team/tools:1";
    for (const char* name : {"CREDENTIALS_DIRECTORY", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG"}) ::unsetenv(name);
    ::setenv("HOME", folder_.path().c_str(), 1);
  }
  std::string write(const std::string& name, const std::string& text) {
    write_file_durably(folder_ / name, text, 0600);
    return folder_ / name;
  }
  /// "username:password" as the daemon would get them; empty where there are none.
  std::string found() {
    const auto file = find_credentials(definition_);
    if (!file) return "";
    ::lseek(file->get(), 0, SEEK_SET);
    const auto object = nlohmann::json::parse(read_text(file->get(), 10'000, "memfd"));
    return object["username"].get<std::string>() + ":" + object["password"].get<std::string>();
  }
  std::string refusal() {
    try {
      found();
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  testing::TemporaryFolder folder_;
  Definition definition_;
};

TEST_F(CredentialsTest, TakesAPairFromTheFileThatIsNamed) {
  definition_.registry.credential = write("pair", "alice:open:sesame\n");
  EXPECT_EQ(found(), "alice:open:sesame");
}

TEST_F(CredentialsTest, ANameIsAFileOfTheCredentialDirectory) {
  write("secret", "bob:pw");
  definition_.registry.credential = "secret";
  EXPECT_THAT(refusal(), HasSubstr("LoadCredential=secret"));
  ::setenv("CREDENTIALS_DIRECTORY", folder_.path().c_str(), 1);
  EXPECT_EQ(found(), "bob:pw");
}

TEST_F(CredentialsTest, TheMountsOwnNameIsLookedForWithoutBeingNamed) {
  write("tools", "carol:pw");
  ::setenv("CREDENTIALS_DIRECTORY", folder_.path().c_str(), 1);
  EXPECT_EQ(found(), "carol:pw");
}

TEST_F(CredentialsTest, TakesDockersFileForTheRegistryThatItNames) {
  write("config.json", R"({"auths": {"registry.example.com": {"auth": "ZGF2ZTpwdw=="}}})");
  ::setenv("DOCKER_CONFIG", folder_.path().c_str(), 1);
  EXPECT_EQ(found(), "dave:pw");
  definition_.image = "other.example.com/team/tools";
  EXPECT_EQ(found(), "");
}

TEST_F(CredentialsTest, ANamedFileMustSaySomething) {
  definition_.registry.credential = folder_ / "absent";
  EXPECT_THAT(refusal(), HasSubstr("absent"));
  definition_.registry.credential = write("other.json", R"({"auths": {}})");
  EXPECT_THAT(refusal(), HasSubstr("says nothing of registry.example.com"));
}

TEST_F(CredentialsTest, AFifoIsRefusedAndNotWaitedFor) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  definition_.registry.credential = folder_ / "fifo";
  EXPECT_THAT(refusal(), HasSubstr("fifo: is not a regular file"));
}

TEST_F(CredentialsTest, AMessageNeverHoldsTheSecret) {
  definition_.registry.credential = write("garbage", "hunter2 without a colon");
  EXPECT_THAT(refusal(), ::testing::Not(HasSubstr("hunter2")));
  EXPECT_THAT(refusal(), HasSubstr("neither username:password"));
}

TEST_F(CredentialsTest, ALocalImageNeedsNone) {
  definition_.image = "file:/some/image";
  definition_.registry.credential = "ignored";
  EXPECT_EQ(found(), "");
}

}  // namespace
}  // namespace erofs_oci
