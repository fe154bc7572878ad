// SPDX-License-Identifier: Apache-2.0
#include "generator/generated_units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "config/definition_file.h"

namespace erofs_oci {
namespace {

using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::UnorderedElementsAre;

Definition define(const std::string& name, const std::string& mountpoint, const std::string& more = "",
                  const std::string& image = "registry.example.com/tools:1") {
  return parse_definition("image = \"" + image + "\"\nmountpoint = \"" + mountpoint + "\"\n" + more,
                          name + ".toml", name);
}

/// Path → text, or "-> target".
std::map<std::string, std::string> generate(const Definition& definition,
                                            std::vector<Definition> others = {}) {
  std::map<std::string, std::string> files;
  others.push_back(definition);
  for (const GeneratedFile& file : generate_units(definition, others)) {
    files[file.path] = file.link_to.empty() ? file.text : "-> " + file.link_to.native();
  }
  return files;
}

constexpr const char* kInstance = "erofs-oci@tools.service.d/50-erofs-oci@tools.conf";
constexpr const char* kMount = "srv-tools.mount.d/50-erofs-oci@tools.conf";

TEST(GeneratedUnits, EnableNothingByThemselves) {
  EXPECT_THAT(generate(define("tools", "/srv/tools")), UnorderedElementsAre(Key(kInstance), Key(kMount)));
}

TEST(GeneratedUnits, AnInstanceHearsOfAnUmountByHand) {
  EXPECT_THAT(generate(define("tools", "/srv/tools"))[kInstance],
              HasSubstr("\nStopPropagatedFrom=srv-tools.mount\n"));
}

TEST(GeneratedUnits, NofailIsWantedAndNothingWaitsForIt) {
  auto files = generate(define("tools", "/srv/tools", "boot = \"nofail\""));
  EXPECT_EQ(files["remote-fs.target.wants/erofs-oci@tools.service"],
            "-> /usr/lib/systemd/system/erofs-oci@.service");
  EXPECT_THAT(files[kInstance], Not(HasSubstr("Before=")));
}

TEST(GeneratedUnits, RemoteFsTargetWaitsForARequiredOne) {
  auto files = generate(define("tools", "/srv/tools", "boot = \"required\""));
  EXPECT_EQ(files["remote-fs.target.requires/erofs-oci@tools.service"],
            "-> /usr/lib/systemd/system/erofs-oci@.service");
  EXPECT_THAT(files[kInstance], HasSubstr("\nBefore=remote-fs.target\n"));
}

TEST(GeneratedUnits, WaitForTheFilesystemsOfMountPointAndLocalFiles) {
  auto files = generate(
      define("tools", "/data/x/tools", "layer = 0\ntarindex = \"/var/a b\"\n[registry]\nca = \"/etc/ca\"\n"));
  const std::string& text = files[kInstance];
  for (const char* path : {"/data/x", "/var/a b", "/etc/ca"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\nRequiresMountsFor=\"") + path + "\"\n"));
  }
  EXPECT_THAT(files["data-x-tools.mount.d/50-erofs-oci@tools.conf"],
              HasSubstr("RequiresMountsFor=\"/var/a b\"\n"));
}

TEST(GeneratedUnits, OnlyARegistryNeedsTheNetwork) {
  EXPECT_THAT(generate(define("tools", "/srv/tools"))[kInstance], HasSubstr("network-online.target"));
  auto local = generate(define("tools", "/srv/tools", "", "oci:/images/tools:1.4"))[kInstance];
  EXPECT_THAT(local, Not(HasSubstr("network-online.target")));
  EXPECT_THAT(local, HasSubstr("RequiresMountsFor=\"/images/tools\"\n"));
}

TEST(GeneratedUnits, AMountOnAnotherWaitsForThatOne) {
  const Definition inner = define("tools", "/srv/outer/tools");
  EXPECT_THAT(
      generate(inner, {define("outer", "/srv/outer")})["erofs-oci@tools.service.d/50-erofs-oci@tools.conf"],
      HasSubstr("Requires=erofs-oci@outer.service\nAfter=erofs-oci@outer.service\n"));
  EXPECT_THAT(generate(inner, {define("out", "/srv/out")})[kInstance],
              Not(HasSubstr("erofs-oci@out.service")));
}

TEST(GeneratedUnits, AnAutomountMountsByTheHelper) {
  auto files = generate(define("tools", "/srv/tools", "automount = true\nboot = \"nofail\""));
  EXPECT_THAT(files["srv-tools.mount"],
              HasSubstr("[Mount]\nWhat=tools\nWhere=/srv/tools\nType=erofs-oci\nOptions=_netdev,nofail\n"));
  EXPECT_THAT(files["srv-tools.automount"], HasSubstr("[Automount]\nWhere=/srv/tools\n"));
  EXPECT_EQ(files["remote-fs.target.wants/srv-tools.automount"], "-> ../srv-tools.automount");
  EXPECT_THAT(files[kInstance], HasSubstr("\nBindsTo=srv-tools.mount\nAfter=srv-tools.mount\n"));
}

}  // namespace
}  // namespace erofs_oci
