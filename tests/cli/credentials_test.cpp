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
    forget_environment();
    ::setenv("HOME", folder_.path().c_str(), 1);
  }
  static void forget_environment() {
    for (const char* name : {"CREDENTIALS_DIRECTORY", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "HOME"})
      ::unsetenv(name);
  }
  /// What the environment says now is what it said when the mount was made; the next one says nothing.
  void remember() {
    remembered_ = credential_paths();
    forget_environment();
  }
  std::string write(const std::string& name, const std::string& text) {
    write_file_durably(folder_ / name, text, 0600);
    return folder_ / name;
  }
  /// "username:password" as the daemon would get them; empty where there are none.
  std::string found() {
    const auto file = find_credentials(definition_, remembered_);
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
  CredentialPaths remembered_;
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

TEST_F(CredentialsTest, WhoeverReattachesFindsThemWhereTheMountDid) {
  write("secret", "bob:pw");
  write("tools", "carol:pw");
  ::setenv("CREDENTIALS_DIRECTORY", folder_.path().c_str(), 1);
  remember();
  EXPECT_EQ(found(), "carol:pw");
  definition_.registry.credential = "secret";
  EXPECT_EQ(found(), "bob:pw");
  testing::TemporaryFolder other;  // the reattaching service has credentials of its own
  ::setenv("CREDENTIALS_DIRECTORY", other.path().c_str(), 1);
  EXPECT_EQ(found(), "bob:pw");
}

TEST_F(CredentialsTest, AManualMountsFilesAreRemembered) {
  for (const char* variable : {"DOCKER_CONFIG", "REGISTRY_AUTH_FILE"}) {
    const bool is_folder = variable == std::string("DOCKER_CONFIG");
    const auto file =
        write("config.json", R"({"auths": {"registry.example.com": {"auth": "ZGF2ZTpwdw=="}}})");
    ::setenv(variable, is_folder ? folder_.path().c_str() : file.c_str(), 1);
    remember();
    EXPECT_EQ(found(), "dave:pw") << variable;
  }
}

TEST_F(CredentialsTest, WhatTheEnvironmentSaysNowGoesBeforeWhatItSaid) {
  ::setenv("REGISTRY_AUTH_FILE", write("old", "dave:old").c_str(), 1);
  remember();
  ::setenv("REGISTRY_AUTH_FILE", write("new", "dave:new").c_str(), 1);
  EXPECT_EQ(found(), "dave:new");
}

TEST_F(CredentialsTest, RememberedPathsAreAbsoluteAndBounded) {
  ::setenv("REGISTRY_AUTH_FILE", "auth.json", 1);
  ::setenv("DOCKER_CONFIG", std::string(100'000, 'a').c_str(), 1);
  remember();
  EXPECT_EQ(remembered_["REGISTRY_AUTH_FILE"], std::filesystem::absolute("auth.json"));
  EXPECT_FALSE(remembered_.contains("DOCKER_CONFIG"));
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
