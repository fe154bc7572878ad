// SPDX-License-Identifier: Apache-2.0
#include "index/layer_merger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "index/merging.h"

namespace erofs_oci {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What `umoci unpack` 0.4.7 does was compared with all that follows; comments say where it differs.

// ---- whiteouts

TEST(LayerMerger, WhiteoutHidesWhatALowerLayerHas) {
  EXPECT_THAT(paths({{dir("d"), file("d/a"), file("d/b")}, {file("d/.wh.a")}}), ElementsAre("d/", "d/b"));
}

TEST(LayerMerger, WhiteoutHidesADirectoryWithAllThatIsInIt) {
  EXPECT_THAT(paths({{file("d/e/f"), file("keep")}, {file(".wh.d")}}), ElementsAre("keep"));
}

TEST(LayerMerger, WhiteoutHidesASymlinkAndNotWhereItLeads) {
  EXPECT_THAT(paths({{file("real/f"), symlink("l", "real")}, {file(".wh.l")}}),
              ElementsAre("real/", "real/f"));
}

TEST(LayerMerger, WhiteoutOfNothingHidesNothing) {
  EXPECT_THAT(paths({{file("f")}, {file(".wh.g"), file("no/such/.wh.f"), file("f/.wh.x")}}),
              ElementsAre("f"));
}

/// image-spec, layer.md, "Whiteouts": they apply to lower layers only. containerd and Docker remove what
/// stands before the whiteout in its own layer; layers that engines make never hold both.
TEST(LayerMerger, WhiteoutKeepsItsOwnLayersFileInEitherOrder) {
  const std::vector<TarMember> lower = {file("f", 1)};
  EXPECT_THAT(listing(merge({lower, {file(".wh.f"), file("f", 2)}})),
              ElementsAre(HasSubstr("f 644 2 bytes")));
  EXPECT_THAT(listing(merge({lower, {file("f", 2), file(".wh.f")}})),
              ElementsAre(HasSubstr("f 644 2 bytes")));
}

TEST(LayerMerger, WhiteoutOfADirectoryKeepsWhatItsOwnLayerHasInIt) {
  const std::vector<TarMember> lower = {file("d/old"), file("d/sub/old")};
  for (const auto& upper : std::vector<std::vector<TarMember>>{
           {file(".wh.d"), dir("d"), file("d/new"), file("d/sub/new")},
           {dir("d"), file("d/new"), file("d/sub/new"), file(".wh.d")},
           {file("d/sub/new"), file(".wh.d"), file("d/new")},
       }) {
    EXPECT_THAT(paths({lower, upper}), ElementsAre("d/", "d/new", "d/sub/", "d/sub/new"));
  }
}

/// As engines do where the whiteout comes first; behind, umoci keeps the mode and containerd hides all of it.
TEST(LayerMerger, HiddenDirectoryThatIsOnlyImpliedLosesItsMetadata) {
  const std::vector<TarMember> lower = {dir("d", 0700), file("d/old")};
  for (const auto& upper :
       std::vector<std::vector<TarMember>>{{file(".wh.d"), file("d/new")}, {file("d/new"), file(".wh.d")}}) {
    EXPECT_THAT(listing(merge({lower, upper})), ElementsAre("d/ 755", HasSubstr("d/new")));
  }
}

TEST(LayerMerger, WhiteoutKeepsAHardLinkOfItsOwnLayerToALowerFile) {
  const std::vector<TarMember> lower = {file("a", 7), file("b", 8)};
  EXPECT_THAT(paths({lower, {hard_link("b", "a"), file(".wh.b")}}), ElementsAre("a", "b = a"));
  EXPECT_THAT(paths({lower, {file(".wh.b"), hard_link("b", "a")}}), ElementsAre("a", "b = a"));
}

TEST(LayerMerger, WhiteoutOfALowerLayerIsForgottenInTheNext) {
  EXPECT_THAT(paths({{file("f")}, {file(".wh.f")}, {file("f")}}), ElementsAre("f"));
  EXPECT_THAT(paths({{file("f")}, {file("f")}, {file(".wh.f")}}), IsEmpty());
}

TEST(LayerMerger, WhiteoutFollowsSymlinksAmongItsParents) {
  EXPECT_THAT(paths({{file("usr/lib/a"), file("usr/lib/b"), symlink("lib", "usr/lib")}, {file("lib/.wh.a")}}),
              ElementsAre("lib", "usr/", "usr/lib/", "usr/lib/b"));
}

/// AUFS, where the format comes from, makes whiteouts hard links to a file of its own.
TEST(LayerMerger, WhiteoutsAreToldByTheirNameWhateverTheirType) {
  EXPECT_THAT(paths({{file("a"), file("b"), file("c")},
                     {hard_link(".wh.a", ".wh..wh.aufs"), symlink(".wh.b", "x"), dir(".wh.c")}}),
              IsEmpty());
}

/// As Docker does; umoci shows what is in .wh..wh.plnk.
TEST(LayerMerger, LeavesOutFilesOfAufs) {
  EXPECT_THAT(paths({{file(".wh..wh.aufs"), dir(".wh..wh.plnk"), file(".wh..wh.plnk/1.2"), file("f")}}),
              ElementsAre("f"));
}

/// containerd and umoci refuse them too; Docker would remove the directory that holds them.
TEST(LayerMerger, RefusesWhiteoutsThatNameNothing) {
  for (const char* name : {".wh.", "d/.wh..", "d/.wh..."}) {
    EXPECT_THAT(merge_failure({{file("d/f")}, {file(name)}}),
                HasSubstr(fmt::format("corrupt: member '{}' is a whiteout that names nothing", name)));
  }
}

// ---- opaque directories

TEST(LayerMerger, OpaqueHidesWhatLowerLayersHaveInItsDirectory) {
  EXPECT_THAT(paths({{file("d/a"), file("d/e/b"), file("f")}, {file("d/.wh..wh..opq")}}),
              ElementsAre("d/", "f"));
}

TEST(LayerMerger, OpaqueKeepsWhatItsOwnLayerHasInEitherOrder) {
  const std::vector<TarMember> lower = {file("d/old"), file("d/sub/old"), file("d/f", 1)};
  for (const auto& upper :
       std::vector<std::vector<TarMember>>{{file("d/.wh..wh..opq"), file("d/f", 2), file("d/sub/new")},
                                           {file("d/f", 2), file("d/sub/new"), file("d/.wh..wh..opq")}}) {
    EXPECT_THAT(listing(merge({lower, upper})),
                ElementsAre("d/ 755", HasSubstr("d/f 644 2 bytes"), "d/sub/ 755", HasSubstr("d/sub/new")));
  }
}

TEST(LayerMerger, OpaqueKeepsItsDirectorysMetadata) {
  EXPECT_THAT(listing(merge({{dir("d", 0700), file("d/f")}, {file("d/.wh..wh..opq")}})),
              ElementsAre("d/ 700"));
}

TEST(LayerMerger, OpaqueRootHidesAllOfTheLowerLayers) {
  EXPECT_THAT(paths({{file("a"), file("b/c")}, {file("x"), file(".wh..wh..opq"), file("y")}}),
              ElementsAre("x", "y"));
}

/// It once hid the whole image.
TEST(LayerMerger, OpaqueInADirectoryThatIsNowhereHidesNothing) {
  EXPECT_THAT(paths({{file("f")}, {file("new/deep/.wh..wh..opq"), file("f/.wh..wh..opq")}}),
              ElementsAre("f"));
}

/// What overlay differs emit for `rm lib; mkdir lib` where lib was a symlink.
TEST(LayerMerger, OpaqueOfADirectoryThatReplacesASymlinkHidesNothingBehindTheLink) {
  EXPECT_THAT(paths({{file("usr/lib/a"), symlink("lib", "usr/lib")},
                     {dir("lib"), file("lib/.wh..wh..opq"), file("lib/b")}}),
              ElementsAre("lib/", "lib/b", "usr/", "usr/lib/", "usr/lib/a"));
}

TEST(LayerMerger, OpaqueKeepsAHardLinkToWhatItHides) {
  EXPECT_THAT(paths({{file("d/a", 5)}, {hard_link("d/b", "d/a"), file("d/.wh..wh..opq")}}),
              ElementsAre("d/", "d/b"));
}

// ---- replacing

TEST(LayerMerger, FileReplacesADirectoryAndBack) {
  EXPECT_THAT(paths({{file("d/f")}, {file("d")}}), ElementsAre("d"));
  EXPECT_THAT(paths({{file("d")}, {dir("d"), file("d/f")}}), ElementsAre("d/", "d/f"));
  EXPECT_THAT(paths({{file("d/f")}, {file("d")}, {dir("d")}}), ElementsAre("d/"));
}

TEST(LayerMerger, DirectoryReplacesASymlinkToADirectory) {
  EXPECT_THAT(paths({{file("real/f"), symlink("d", "real")}, {dir("d"), file("d/g")}}),
              ElementsAre("d/", "d/g", "real/", "real/f"));
}

TEST(LayerMerger, TheLastOfSeveralMembersOfANameWins) {
  EXPECT_THAT(listing(merge({{file("f", 1), dir("./f"), file("/f", 3)}})),
              ElementsAre(HasSubstr("f 644 3 bytes")));
}

TEST(LayerMerger, DirectoryHasTheMetadataOfTheTopmostLayerThatHasIt) {
  TarMember top = dir("d", 0711);
  top.uid = 5;
  top.mtime = 99;
  const LayerMerger merged =
      merge({{dir("d", 0700), file("d/f")}, {file("d/g")}, {std::move(top)}, {file("d/h")}});
  EXPECT_THAT(listing(merged),
              ElementsAre("d/ 711 5:0 @99", HasSubstr("d/f"), HasSubstr("d/g"), HasSubstr("d/h")));
}

TEST(LayerMerger, DirectorysXattrsAreThoseOfTheTopmostLayer) {
  TarMember lower = dir("d");
  lower.xattrs = {{"user.a", "1"}, {"user.b", "2"}};
  TarMember upper = dir("d");
  upper.xattrs = {{"user.b", "3"}};
  EXPECT_THAT(listing(merge({{lower}, {upper}})), ElementsAre("d/ 755 user.b=3"));
}

TEST(LayerMerger, RootTakesItsMetadataFromAMemberOfAnyOfItsNames) {
  for (const char* name : {"./", "/", ".", "", "x/..", "..", "//.//"}) {
    TarMember root = dir(name, 0750);
    root.uid = 3;
    const LayerMerger merged = merge({{std::move(root), file("f")}});
    EXPECT_EQ(merged.tree().nodes[0].mode, S_IFDIR | 0750) << name;
    EXPECT_EQ(merged.tree().nodes[0].uid, 3u);
    EXPECT_THAT(paths(merged), ElementsAre("f"));
  }
}

TEST(LayerMerger, RefusesToReplaceTheRoot) {
  for (const TarMember& node : {file("./"), symlink("/", "usr"), hard_link(".", "f"), file("a/..")}) {
    EXPECT_THAT(merge_failure({{file("f")}, {node}}),
                HasSubstr(fmt::format("corrupt: member '{}' would replace the root directory", node.path)));
  }
}

// ---- hard links

TEST(LayerMerger, HardLinkSharesTheFileOfALowerLayer) {
  const LayerMerger merged = merge({{file("a", 5)}, {hard_link("b", "a")}});
  EXPECT_THAT(paths(merged), ElementsAre("a", "b = a"));
  EXPECT_EQ(merged.layer_of(merged.tree().nodes[0].children.at("b")), 0u);
}

TEST(LayerMerger, HardLinkKeepsWhatItsTargetWasWhenThatIsReplacedLater) {
  EXPECT_THAT(listing(merge({{file("a", 5)}, {hard_link("b", "a"), file("a", 6)}})),
              ElementsAre(HasSubstr("a 644 6 bytes"), HasSubstr("b 644 5 bytes")));
  EXPECT_THAT(paths({{file("a"), hard_link("b", "a")}, {file(".wh.a")}}), ElementsAre("b"));
}

/// Engines refuse it (link(2) has nothing to lead to); nothing is lost by taking it.
TEST(LayerMerger, HardLinkMayStandBeforeItsTarget) {
  EXPECT_THAT(paths({{hard_link("a", "z"), file("z")}}), ElementsAre("a", "z = a"));
}

TEST(LayerMerger, HardLinkToASymlinkIsTheSymlink) {
  EXPECT_THAT(listing(merge({{file("f"), symlink("s", "f"), hard_link("t", "s")}})),
              ElementsAre(HasSubstr("f"), HasSubstr("s 777 -> f"), "t = s"));
}

TEST(LayerMerger, HardLinkFollowsSymlinksAmongTheParentsOfItsTarget) {
  EXPECT_THAT(paths({{file("usr/lib/f"), symlink("lib", "usr/lib")}, {hard_link("lib/g", "/lib/../lib/f")}}),
              ElementsAre("lib", "usr/", "usr/lib/", "usr/lib/f", "usr/lib/g = usr/lib/f"));
}

/// Engines refuse it, since they remove what is there before they link.
TEST(LayerMerger, HardLinkToItselfChangesNothing) {
  EXPECT_THAT(paths({{file("f")}, {hard_link("f", "./f")}}), ElementsAre("f"));
}

TEST(LayerMerger, RefusesHardLinksToDirectoriesAndToNothing) {
  const auto failure_of = [](const TarMember& link) { return merge_failure({{file("d/f")}, {link}}); };
  EXPECT_EQ(failure_of(hard_link("l", "d")),
            "corrupt: member 'l' is a hard link to 'd', which is a directory");
  EXPECT_EQ(failure_of(hard_link("l", ".")),
            "corrupt: member 'l' is a hard link to '.', which is a directory");
  for (const char* target : {"none", "d/none", "d/f/none", "none/f"}) {
    EXPECT_EQ(failure_of(hard_link("l", target)),
              fmt::format(
                  "corrupt: member 'l' is a hard link to '{}', which neither this layer nor a lower one has",
                  target));
  }
}

TEST(LayerMerger, RefusesAHardLinkToWhatItsOwnLayerHid) {
  EXPECT_THAT(merge_failure({{file("a")}, {file(".wh.a"), hard_link("b", "a")}}),
              HasSubstr("member 'b' is a hard link to 'a'"));
}

// ---- paths

TEST(LayerMerger, MakesParentsThatAreNoMembers) {
  EXPECT_THAT(listing(merge({{file("a/b/f")}})), ElementsAre("a/ 755", "a/b/ 755", HasSubstr("a/b/f")));
}

/// As Go's filepath.Clean does before engines look at the filesystem; Docker refuses names that leave the
/// root, containerd and umoci keep them inside it.
TEST(LayerMerger, TakesDotDotOffPathsWithoutLookingAtTheFilesystem) {
  EXPECT_THAT(
      paths({{file("../../f"), file("/g"), file("a/../h"), file("//a//.//i/"), file("/../../x/../j")}}),
      ElementsAre("a/", "a/i", "f", "g", "h", "j"));
  EXPECT_THAT(paths({{file("usr/lib/f"), symlink("lib", "usr/lib")}, {file("lib/../g")}}),
              ElementsAre("g", "lib", "usr/", "usr/lib/", "usr/lib/f"));
}

TEST(LayerMerger, PutsMembersWhereSymlinksAmongTheirParentsLead) {
  struct Case {
    const char* target;
    const char* expected;
  };
  for (const Case& c :
       {Case{"usr/lib", "usr/lib/x"}, Case{"/usr/lib", "usr/lib/x"}, Case{"./usr/./lib/", "usr/lib/x"},
        Case{"../../usr/lib", "usr/lib/x"}, Case{"usr/lib/../bin", "usr/bin/x"}, Case{"..", "x"}}) {
    EXPECT_THAT(paths({{dir("usr/lib"), dir("usr/bin"), symlink("lib", c.target)}, {file("lib/x")}}),
                ::testing::Contains(c.expected))
        << c.target;
  }
}

TEST(LayerMerger, MakesTheDirectoryThatASymlinkAmongTheParentsLacks) {
  EXPECT_THAT(paths({{symlink("lib", "usr/lib")}, {file("lib/x")}}),
              ElementsAre("lib", "usr/", "usr/lib/", "usr/lib/x"));
}

TEST(LayerMerger, RefusesLoopsOfSymlinksAndFilesAmongParents) {
  for (const auto& lower : std::vector<std::vector<TarMember>>{{symlink("a", "a")},
                                                               {symlink("a", "b"), symlink("b", "./a")},
                                                               {symlink("a", "a/a/a")},
                                                               {file("a")}}) {
    EXPECT_EQ(merge_failure({lower, {file("a/x")}}),
              "corrupt: member 'a/x' has among its parents what is no directory, or a loop of symlinks");
    EXPECT_EQ(merge_failure({lower, {file("a/.wh.x")}}), "none");
  }
}

TEST(LayerMerger, FollowsAsManySymlinksAsLinux) {
  std::vector<TarMember> lower = {dir("l0")};
  for (int i = 1; i <= 41; ++i) lower.push_back(symlink(fmt::format("l{}", i), fmt::format("l{}", i - 1)));
  EXPECT_EQ(merge_failure({lower, {file("l40/x")}}), "none");
  EXPECT_THAT(merge_failure({lower, {file("l41/x")}}), HasSubstr("loop of symlinks"));
}

TEST(LayerMerger, RefusesPathsAndLinksThatLinuxCannotTake) {
  std::string longest;
  while (longest.size() < LayerMerger::kMaxPath) longest += "d/";
  longest.resize(LayerMerger::kMaxPath);
  EXPECT_EQ(merge_failure({{file(longest), symlink("s", longest)}}), "none");
  for (const TarMember& node :
       {file(longest + "x"), symlink("s", longest + "x"), hard_link("h", longest + "x")}) {
    EXPECT_THAT(merge_failure({{node}}), HasSubstr("has a path or link of more than 4095 bytes"));
  }
}

TEST(LayerMerger, RefusesMorePathsThanTheMembersAreWorth) {
  std::vector<TarMember> members;
  for (int i = 0; i < 1000; ++i) {
    std::string path = fmt::format("{}", i);
    while (path.size() < 4000) path += "/d";
    members.push_back(file(path));
  }
  EXPECT_THAT(merge_failure({members}), HasSubstr("unsupported: members' paths imply more than 10"));
}

// ---- what members hold

TEST(LayerMerger, TakesOverWhatAMemberSays) {
  TarMember node = file("f", 10);
  node.permissions = 04755;
  node.uid = 100'000;
  node.gid = 7;
  node.mtime = -3;
  node.mtime_nanoseconds = 5;
  node.data = {{0, 512, 4}, {8, 516, 2}};
  TarMember device = file("c");
  device.type = TarType::character_device;
  device.device_major = 1;
  device.device_minor = 3;
  const LayerMerger merged = merge({{std::move(node), std::move(device)}});
  const auto& nodes = merged.tree().nodes;
  const erofs::Node& f = nodes[nodes[0].children.at("f")];
  EXPECT_EQ(f.mode, S_IFREG | 04755);
  EXPECT_EQ(std::tuple(f.uid, f.gid, f.mtime, f.mtime_nanoseconds, f.size),
            std::tuple(100'000u, 7u, -3, 5u, 10u));
  ASSERT_EQ(f.data.size(), 2u);
  EXPECT_EQ(std::tuple(f.data[1].file_offset, f.data[1].address, f.data[1].length), std::tuple(8u, 516u, 2u));
  const erofs::Node& c = nodes[nodes[0].children.at("c")];
  EXPECT_EQ(std::tuple(c.mode, c.device_major, c.device_minor), std::tuple(S_IFCHR | 0644, 1u, 3u));
}

TEST(LayerMerger, KeepsEqualXattrsOnce) {
  TarMember a = file("a");
  a.xattrs = {{"user.x", "1"}};
  TarMember b = file("b");
  b.xattrs = a.xattrs;
  TarMember c = file("c");
  c.xattrs = {{"user.x", "2"}};
  EXPECT_EQ(merge({{a, b}, {c}}).tree().xattr_sets.size(), 3u);
}

TEST(LayerMerger, NotesAclsAndNamespacesThatLinuxDoesNotHave) {
  TarMember acl = file("a\n");
  acl.has_acl = true;
  TarMember odd = file("o");
  odd.xattrs = {{"com.apple.x", "1"}, {"user.y", "2"}};
  const LayerMerger merged = merge({{acl, odd}});
  ASSERT_EQ(merged.notes().size(), 2u);
  EXPECT_THAT(merged.notes()[0], HasSubstr("'a\\x0a': its ACL is left out"));
  EXPECT_THAT(merged.notes()[1], HasSubstr("'o': its attribute com.apple.x is left out"));
  EXPECT_THAT(listing(merged), ::testing::Contains("o 644 0 bytes user.y=2"));
}

TEST(LayerMerger, NotesAreBounded) {
  std::vector<TarMember> members;
  for (int i = 0; i < 100; ++i) {
    members.push_back(file(fmt::format("{}", i)));
    members.back().has_acl = true;
  }
  const LayerMerger merged = merge({members});
  EXPECT_LE(merged.notes().size(), 21u);
  EXPECT_EQ(merged.notes().back(), "and more of the kind");
}

// ---- one layer for itself

TEST(LayerMerger, KeepsWhiteoutsAsFilesWhereAsked) {
  const std::vector<TarMember> layer = {file("d/.wh.a"), file("d/.wh..wh..opq"),
                                        hard_link(".wh.b", "d/.wh.a"), file(".wh.")};
  EXPECT_THAT(paths(merge({layer}, Whiteouts::keep)),
              ElementsAre(".wh.", ".wh.b", "d/", "d/.wh..wh..opq", "d/.wh.a = .wh.b"));
}

TEST(LayerMerger, TurnsWhiteoutsIntoWhatOverlayfsTakes) {
  TarMember d = dir("d", 0700);
  d.xattrs = {{"user.z", "1"}};
  const auto expected =
      ElementsAre("d/ 700 trusted.overlay.opaque=y trusted.overlay.origin= user.z=1", "d/a 0 0,0 char");
  const std::vector<TarMember> marks = {file("d/.wh.a", 3), file("d/.wh..wh..opq"), file("d/.wh..wh..opq")};
  std::vector<TarMember> before = marks;
  before.push_back(d);
  std::vector<TarMember> behind = {d};
  behind.insert(behind.end(), marks.begin(), marks.end());
  EXPECT_THAT(listing(merge({before}, Whiteouts::overlay)), expected);
  EXPECT_THAT(listing(merge({behind}, Whiteouts::overlay)), expected);
}

TEST(LayerMerger, OverlayFormOfAWhiteoutAndAnEntryIsTheEntry) {
  for (const auto& layer :
       std::vector<std::vector<TarMember>>{{file(".wh.f"), file("f", 2), file(".wh.d"), dir("d")},
                                           {file("f", 2), file(".wh.f"), dir("d"), file(".wh.d")}}) {
    EXPECT_THAT(listing(merge({layer}, Whiteouts::overlay)),
                ElementsAre("d/ 755 trusted.overlay.opaque=y", HasSubstr("f 644 2 bytes")));
  }
}

}  // namespace
}  // namespace erofs_oci
