// SPDX-License-Identifier: Apache-2.0
#include "cli/mount_helper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "config/definition_file.h"

namespace erofs_oci {
namespace {

using ::testing::ElementsAre;

HelperArguments parse(std::vector<std::string> words) {
  words.insert(words.begin(), "mount.erofs-oci");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return parse_helper_arguments(static_cast<int>(words.size()), argv.data());
}

Definition define(const std::string& more = "") {
  return parse_definition("image = \"r.example.com/t:1\"\nmountpoint = \"/srv/tools\"\n" + more, "tools.toml",
                          "tools");
}

TEST(HelperArguments, AreThoseOfMount) {
  const HelperArguments arguments =
      parse({"tools", "/srv/tools", "-s", "-v", "-t", "erofs-oci", "-o", "rw,_netdev"});
  EXPECT_THAT(arguments.operands, ElementsAre("tools", "/srv/tools"));
  EXPECT_EQ(arguments.options, "rw,_netdev");
}

TEST(HelperArguments, AreThoseOfUmount) {
  const HelperArguments arguments = parse({"/srv/tools", "-f", "-l", "-n"});
  EXPECT_THAT(arguments.operands, ElementsAre("/srv/tools"));
  EXPECT_TRUE(arguments.f);
  EXPECT_TRUE(arguments.lazy);
}

TEST(HelperArguments, OfAnotherNamespaceOrUnknownAreRefused) {
  EXPECT_THROW(parse({"tools", "/srv/tools", "-N", "1"}), Error);
  EXPECT_THROW(parse({"tools", "/srv/tools", "-x"}), Error);
}

TEST(FstabOptions, ThoseForMountItselfChangeNothing) {
  const Definition definition =
      with_fstab_options(define(),
                         "rw,defaults,noauto,nofail,_netdev,_rnetdev,x-systemd.mount-timeout=5min,comment=a,,"
                         "user,user=joe,async,silent");
  EXPECT_EQ(definition.options, define().options);
}

TEST(FstabOptions, TheOthersAreAddedToTheDefinitions) {
  EXPECT_THAT(with_fstab_options(define(), "noexec,_netdev,noatime").options,
              ElementsAre("nodev", "nosuid", "noexec", "noatime"));
}

TEST(FstabOptions, OverrideTheDefinitionsAndItsDefaults) {
  EXPECT_THAT(with_fstab_options(define(), "dev,suid").options, ElementsAre("dev", "suid"));
  EXPECT_THAT(with_fstab_options(define("options = [\"noexec\"]\n"), "exec,nodev").options,
              ElementsAre("nodev", "nosuid", "exec"));
  EXPECT_THAT(with_fstab_options(define(), "dev,nodev").options, ElementsAre("nodev", "nosuid"));
}

TEST(FstabOptions, AnUnknownOneIsRefusedAndNotPassedOver) {
  EXPECT_THROW(with_fstab_options(define(), "noexce"), Error);
}

TEST(SamePlace, KnowsSymlinksAboveAndASlashBehind) {
  const testing::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "real");
  std::filesystem::create_directory_symlink("real", folder / "link");
  EXPECT_TRUE(is_same_place(folder / "link/m", folder / "real/m"));
  EXPECT_TRUE(is_same_place("/srv/m/", "/srv/m"));
  EXPECT_FALSE(is_same_place(folder / "real/m", folder / "real/n"));
}

}  // namespace
}  // namespace erofs_oci
