// SPDX-License-Identifier: Apache-2.0
#include "generator/generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "base/log.h"
#include "base/temporary_folder.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;
using erofs_oci::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Generator : public ::testing::Test {
 protected:
  Generator() {
    fs::create_directory(definitions_);
    set_log_sink(
        [this](LogLevel, std::string_view message, const LogFields&) { said_.emplace_back(message); });
  }
  ~Generator() override {
    set_log_sink([](LogLevel, std::string_view, const LogFields&) {});
  }

  void define(const std::string& name, const std::string& text) {
    std::ofstream(definitions_ / (name + ".toml")) << text;
  }
  bool run() { return run_generator(definitions_, output_, mount_points_); }

  const TemporaryFolder folder_;
  const fs::path definitions_ = folder_.path() / "etc", output_ = folder_.path() / "out";
  MountPoints mount_points_{{"/", "ext4"}};
  std::vector<std::string> said_;
};

constexpr const char* kGood =
    "image = \"r.example.com/t:1\"\nmountpoint = \"/srv/good\"\nboot = \"nofail\"\n";

TEST_F(Generator, ABrokenDefinitionIsToldAndTheOthersAreThere) {
  define("broken", "image = 7\n");
  define("good", kGood);
  EXPECT_FALSE(run());
  EXPECT_THAT(said_, ElementsAre(HasSubstr("broken.toml:1")));
  EXPECT_TRUE(fs::is_symlink(output_ / "remote-fs.target.wants/erofs-oci@good.service"));
}

TEST_F(Generator, WithoutDefinitionsThereIsNothingToDo) {
  fs::remove(definitions_);
  EXPECT_TRUE(run());
  EXPECT_FALSE(fs::exists(output_));
}

TEST_F(Generator, TheSettingsOfTheDaemonAreNoDefinition) {
  std::ofstream(definitions_ / "erofs-ocid.conf") << "log_level = \"info\"\n";
  EXPECT_TRUE(run());
  EXPECT_FALSE(fs::exists(output_));
}

TEST_F(Generator, TwoDefinitionsMayHaveOneMountPoint) {
  define("good", kGood);
  define("other", kGood);
  EXPECT_TRUE(run());
  EXPECT_TRUE(fs::exists(output_ / "srv-good.mount.d/50-erofs-oci@good.conf"));
  EXPECT_TRUE(fs::exists(output_ / "srv-good.mount.d/50-erofs-oci@other.conf"));
}

TEST_F(Generator, WhatFstabSaysOfTheMountPointIsNotReplaced) {
  fs::create_directory(output_);
  std::ofstream(output_ / "srv-auto.mount") << "fstab's";
  define("auto", "image = \"r.example.com/t:1\"\nmountpoint = \"/srv/auto\"\nautomount = true\n");
  EXPECT_FALSE(run());
  EXPECT_THAT(said_, ElementsAre(HasSubstr("is there already, of fstab")));
  EXPECT_EQ(read_text_file(output_ / "srv-auto.mount", 4096), "fstab's");
}

TEST_F(Generator, ASymlinkAboveTheMountPointIsResolved) {
  fs::create_directory(folder_.path() / "real");
  fs::create_directory_symlink("real", folder_.path() / "link");
  define("good",
         "image = \"r.example.com/t:1\"\nmountpoint = \"" + (folder_.path() / "link/m").native() + "\"\n");
  EXPECT_TRUE(run());
  EXPECT_THAT(read_text_file(output_ / "erofs-oci@good.service.d/50-erofs-oci@good.conf", 4096),
              HasSubstr("RequiresMountsFor=\"" + (fs::canonical(folder_.path()) / "real").native() + "\"\n"));
}

TEST_F(Generator, BehindAMountPointNothingIsLookedAt) {
  mount_points_.emplace(folder_.path(), "erofs");
  fs::create_directory_symlink("real", folder_.path() / "link");
  const std::string folder = (folder_.path() / "link").native();
  define("good", "image = \"r.example.com/t:1\"\nmountpoint = \"" + folder + "/m\"\n");
  EXPECT_TRUE(run());
  EXPECT_THAT(read_text_file(output_ / "erofs-oci@good.service.d/50-erofs-oci@good.conf", 4096),
              HasSubstr("RequiresMountsFor=\"" + folder + "\"\n"));
}

TEST_F(Generator, ASymlinkThatLeadsNowhereIsToldAsThat) {
  fs::create_directory(output_);
  fs::create_symlink("/nowhere/x.toml", definitions_ / "dangling.toml");
  EXPECT_FALSE(run());
  EXPECT_THAT(
      said_,
      ElementsAre(HasSubstr("dangling.toml is a symbolic link to /nowhere/x.toml, which does not exist;")));
}

}  // namespace
}  // namespace erofs_oci
