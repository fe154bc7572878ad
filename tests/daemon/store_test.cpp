// SPDX-License-Identifier: Apache-2.0
#include "daemon/store.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "index/building.h"

namespace erofs_oci {
namespace {

class StoreTest : public ::testing::Test {
 protected:
  UniqueFd file(const std::string& text) {
    write_file_durably(folder_ / "given", text, 0644);
    return open_file(folder_ / "given", O_RDONLY);
  }
  std::string text_of(const UniqueFd& fd) { return read_text(fd.get(), 1000, "kept"); }
  static size_t files_in(const std::filesystem::path& path) {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
  }
  void damage(const std::filesystem::path& path) { std::ofstream(path) << "damaged"; }

  testing::TemporaryFolder folder_;
  Store store_{folder_ / "store"};
};

TEST_F(StoreTest, KeepsACopyThatOutlivesTheFile) {
  const Store::Kept kept = store_.keep(file("index").get(), "given");
  EXPECT_EQ(kept.digest, sha256(as_bytes("index")));
  damage(folder_ / "given");
  EXPECT_EQ(text_of(*store_.find(kept.digest)), "index");
}

TEST_F(StoreTest, KeepsTheSameBytesOnceAndNothingHalfWritten) {
  store_.keep(file("index").get(), "given");
  store_.keep(file("index").get(), "given");
  EXPECT_EQ(files_in(folder_ / "store/files"), 1u);
}

TEST_F(StoreTest, ADamagedFileIsNotFoundAndIsKeptAnew) {
  const Digest digest = store_.keep(file("index").get(), "given").digest;
  damage(folder_.path() / "store/files" / ("sha256-" + digest.hex()));
  EXPECT_FALSE(store_.find(digest));
  EXPECT_EQ(text_of(store_.keep(file("index").get(), "given").file), "index");
  EXPECT_TRUE(store_.find(digest));
}

TEST_F(StoreTest, KeepsATraceOfEachDevice) {
  const Digest manifest = sha256(as_bytes("manifest"));
  const Digest device = sha256(as_bytes("device"));
  store_.put_trace(manifest, {device, {{{0, 1}, 0}}});
  ASSERT_TRUE(store_.find_trace(manifest, device));
  EXPECT_EQ(store_.find_trace(manifest, device)->entries.size(), 1u);
  EXPECT_FALSE(store_.find_trace(manifest, sha256(as_bytes("other"))));
  EXPECT_FALSE(store_.find_trace(device, device));
}

TEST_F(StoreTest, ADamagedTraceIsIgnoredAndRemoved) {
  const Digest manifest = sha256(as_bytes("manifest"));
  const Digest device = sha256(as_bytes("device"));
  store_.put_trace(manifest, {device, {}});
  damage(std::filesystem::directory_iterator(folder_ / "store/traces")->path());
  EXPECT_FALSE(store_.find_trace(manifest, device));
  EXPECT_EQ(files_in(folder_ / "store/traces"), 0u);
}

TEST_F(StoreTest, NothingIsSeenOfAnIndexBeforeItIsWhole) {
  const IndexKey key{sha256(as_bytes("manifest")), std::nullopt};
  store_.make_index(key, [&](int file, const std::string& name) {
    pwrite_all(file, 0, as_bytes("half"), name);
    EXPECT_EQ(files_in(folder_ / "store/index"), 0u);
  });
  EXPECT_TRUE(store_.has_index(key));
  EXPECT_EQ(files_in(folder_ / "store/index"), 1u);
}

TEST_F(StoreTest, AnIndexIsReplacedByANewOneAndStaysWhereThatFails) {
  const IndexKey key{sha256(as_bytes("manifest")), 3};
  const auto fill_with = [](std::string text) {
    return [text](int file, const std::string& name) { pwrite_all(file, 0, as_bytes(text), name); };
  };
  store_.make_index(key, fill_with("old"));
  EXPECT_THROW(store_.make_index(key, [](int, const std::string&) { throw Error(ErrorKind::corrupt, "no"); }),
               Error);
  const auto text = [&] {
    const auto entry = std::filesystem::directory_iterator(folder_ / "store/index");
    return read_text_file(entry->path(), 100);
  };
  EXPECT_EQ(text(), "old");
  store_.make_index(key, fill_with("new"));
  EXPECT_EQ(text(), "new");
  EXPECT_EQ(files_in(folder_ / "store/index"), 1u);
}

TEST_F(StoreTest, AnIndexIsSharedAsLongAsSomebodyHasIt) {
  const IndexKey key{sha256(as_bytes("manifest")), std::nullopt};
  const auto fill = [](int file, const std::string& name) {
    pwrite_all(file, 0, as_bytes(testing::build_index(testing::image_input({testing::varied_archive()}))), name);
  };
  EXPECT_FALSE(store_.find_index(key));
  store_.make_index(key, fill);
  auto first = store_.find_index(key);
  ASSERT_TRUE(first);
  EXPECT_EQ(store_.find_index(key), first);
  store_.make_index(key, fill);
  const auto second = store_.find_index(key);
  EXPECT_NE(second, first) << "it is another file";
  std::weak_ptr<const ImageIndex> former = std::exchange(first, nullptr);
  EXPECT_TRUE(former.expired()) << "the store keeps none for itself";
}

TEST_F(StoreTest, FindsAManifestOnlyAsItWasPut) {
  const Digest digest = sha256(as_bytes("{}"));
  EXPECT_FALSE(store_.find_manifest(digest));
  store_.put_manifest(digest, "{}");
  EXPECT_EQ(store_.find_manifest(digest), "{}");
  damage(folder_.path() / "store/manifests" / ("sha256-" + digest.hex() + ".json"));
  EXPECT_FALSE(store_.find_manifest(digest));
}

TEST_F(StoreTest, ARefThatIsDamagedIsNone) {
  const std::string image = "registry.example.com/tools:1";
  const auto path = folder_.path() / "store/refs" / Store::ref_name(image, "linux/amd64");
  store_.put_ref(image, "linux/amd64", sha256(as_bytes("{}")));
  ASSERT_TRUE(store_.find_ref(image, "linux/amd64"));
  for (const char* text : {"", "7", "{}", R"({"digest":"sha256:zz","time":"2026-01-31 12:00:00"})", R"({"digest":7})"}) {
    write_file_durably(path, text, 0644);
    EXPECT_FALSE(store_.find_ref(image, "linux/amd64")) << text;
  }
}

TEST_F(StoreTest, RemembersBindingsByMount) {
  const Binding binding{sha256(as_bytes("layer")), sha256(as_bytes("index")), sha256(as_bytes("zinfo"))};
  EXPECT_FALSE(store_.find_binding("tools"));
  store_.put_binding("tools", binding);
  EXPECT_EQ(store_.find_binding("tools"), binding);
  EXPECT_FALSE(store_.find_binding("other"));
  EXPECT_EQ(Store(folder_ / "store").find_binding("tools"), binding);
}

TEST_F(StoreTest, SaysWhatToDoWithADamagedBinding) {
  store_.put_binding("tools", {sha256(as_bytes("layer")), sha256(as_bytes("index")), std::nullopt});
  damage(folder_.path() / "store/bindings/tools.json");
  EXPECT_THROW(store_.find_binding("tools"), Error);
}

}  // namespace
}  // namespace erofs_oci
