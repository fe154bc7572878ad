// SPDX-License-Identifier: Apache-2.0
#include "daemon/collector.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "base/temporary_folder.h"
#include "source/plain_spans.h"

namespace erofs_oci {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

constexpr const char* kPlatform = "linux/amd64";

Digest digest_of(const std::string& text) {
  return sha256(as_bytes(text));
}

class CollectorTest : public ::testing::Test {
 protected:
  /// What a mount of an image leaves in the store: what its name led to, the manifest, the index.
  void keep_image(const std::string& image, const std::string& manifest) {
    store_.put_manifest(digest_of(manifest), manifest);
    store_.put_ref(image, kPlatform, digest_of(manifest));
    make_index({digest_of(manifest), std::nullopt});
    store_.put_trace(digest_of(manifest), {digest_of("device"), {}});
  }
  void make_index(const IndexKey& key) {
    store_.make_index(
        key, [](int file, const std::string& name) { pwrite_all(file, 0, as_bytes("12345"), name); });
  }
  /// What a mount by a tarindex leaves: the copy of it, and which layer it belongs to.
  void keep_layer(const std::string& mount, const std::string& tarindex) {
    write_file_durably(folder_ / "given", tarindex, 0644);
    const auto kept = store_.keep(open_file(folder_ / "given", O_RDONLY).get(), "given");
    store_.put_binding(mount, {digest_of("layer"), kept.digest, std::nullopt});
  }
  std::set<std::string> files() const {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(store_.root())) {
      if (entry.is_regular_file()) found.insert(entry.path());
    }
    return found;
  }
  std::vector<std::string> collect(const Needed& needed, bool dry_run = false) {
    std::vector<std::string> paths;
    for (const Removed& removed : collect_garbage(store_, needed, dry_run)) paths.push_back(removed.path);
    return paths;
  }

  testing::TemporaryFolder folder_;
  Store store_{folder_ / "store"};
};

TEST_F(CollectorTest, KeepsWhatADefinitionNames) {
  keep_image("r.example/a:1", "a");
  make_index({digest_of("a"), 3});
  keep_layer("tools", "tarindex");
  const Needed needed{{"tools"}, {{"r.example/a:1", kPlatform}}, {}};
  const auto before = files();
  EXPECT_THAT(collect(needed), IsEmpty());
  EXPECT_EQ(files(), before);
}

TEST_F(CollectorTest, RemovesAllOfWhatNothingNames) {
  keep_image("r.example/a:1", "a");
  const auto kept = files();
  keep_image("r.example/b:1", "b");
  make_index({digest_of("b"), 0});
  keep_layer("gone", "tarindex of gone");
  auto all = files();
  std::vector<std::string> garbage;
  std::ranges::set_difference(all, kept, std::back_inserter(garbage));
  ASSERT_EQ(garbage.size(), 7u);

  const Needed needed{{}, {{"r.example/a:1", kPlatform}}, {}};
  EXPECT_THAT(collect(needed, true), UnorderedElementsAreArray(garbage));
  EXPECT_EQ(files(), all);
  EXPECT_THAT(collect(needed), UnorderedElementsAreArray(garbage));
  EXPECT_EQ(files(), kept);
}

TEST_F(CollectorTest, AMovedNameLetsGoOfWhatItLedTo) {
  keep_image("r.example/a:1", "old");
  keep_image("r.example/a:1", "new");
  const Needed needed{{}, {{"r.example/a:1", kPlatform}}, {}};
  EXPECT_EQ(collect(needed).size(), 3u);  // the manifest, the index, the trace
  EXPECT_FALSE(store_.has_index({digest_of("old"), std::nullopt}));
  EXPECT_TRUE(store_.has_index({digest_of("new"), std::nullopt}));
}

TEST_F(CollectorTest, KeepsWhatIsMountedThoughItsNameMoved) {
  keep_image("r.example/a:1", "mounted");
  keep_image("r.example/a:1", "new");
  EXPECT_THAT(collect({{}, {{"r.example/a:1", kPlatform}}, {digest_of("mounted")}}), IsEmpty());
}

TEST_F(CollectorTest, AnotherPlatformIsAnotherImage) {
  keep_image("r.example/a:1", "a");
  EXPECT_EQ(collect({{}, {{"r.example/a:1", "linux/arm64"}}, {}}).size(), 4u);
}

TEST_F(CollectorTest, RemovesWhatAnUnfinishedWriteLeft) {
  keep_image("r.example/a:1", "a");
  const auto left = store_.root() / "index" / ("sha256-" + digest_of("a").hex() + ".index.new");
  write_file_durably(left, "half", 0644);
  const Needed needed{{}, {{"r.example/a:1", kPlatform}}, {}};
  const auto removed = collect_garbage(store_, needed, false);
  ASSERT_EQ(removed.size(), 1u);
  EXPECT_EQ(removed[0].path, left);
  EXPECT_EQ(removed[0].size_bytes, 4u);
}

/// A manifest of one layer, as far as that is looked at.
std::string manifest_of(const Digest& layer) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":)"
         R"("application/vnd.oci.image.config.v1+json","digest":")" +
         to_string(digest_of("config")) +
         R"(","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":5,"digest":")" +
         to_string(layer) + R"("}]})";
}

TEST_F(CollectorTest, KeepsTheDataOfLayersOfImagesThatAreNamed) {
  DiskCache cache({.folder = folder_ / "cache", .limit_bytes = kGiB});
  const auto open_layer = [&](const std::string& layer) {
    return cache.open(LayerKey::of_plain(digest_of(layer), "r.example/a", kMiB, 5 * kMiB),
                      PlainSpans(5 * kMiB));
  };
  for (const char* layer : {"named", "forgotten"}) {
    open_layer(layer)->keep(0, std::make_shared<Buffer>(kMiB));
    cache.pin(layer, {open_layer(layer)});
  }
  cache.flush();
  keep_image("r.example/a:1", manifest_of(digest_of("named")));
  const Needed needed{{"named"}, {{"r.example/a:1", kPlatform}}, {}};
  const auto would = collect_garbage(store_, needed, true, &cache);
  EXPECT_TRUE(cache.has_layer(digest_of("forgotten"))) << "nothing was said to be removed yet";
  const auto removed = collect_garbage(store_, needed, false, &cache);
  ASSERT_EQ(removed.size(), 1u);
  EXPECT_EQ(would.size(), 1u);
  EXPECT_THAT(removed[0].path, ::testing::HasSubstr(digest_of("forgotten").hex()));
  EXPECT_GE(removed[0].size_bytes, kMiB);
  EXPECT_FALSE(cache.has_layer(digest_of("forgotten")));
  EXPECT_TRUE(cache.has_layer(digest_of("named")));
  EXPECT_TRUE(cache.is_pinned(*open_layer("named")));
  EXPECT_FALSE(cache.is_pinned(*open_layer("forgotten")));
}

}  // namespace
}  // namespace erofs_oci
