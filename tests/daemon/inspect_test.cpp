// SPDX-License-Identifier: Apache-2.0
#include "daemon/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "control/files_wanted.h"
#include "daemon/index_build.h"
#include "daemon/layout.h"
#include "daemon/source_opener.h"
#include "gzip/gzip_testing.h"

namespace erofs_oci {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kData = TEST_DATA_DIR;
const std::string kType = "application/vnd.oci.image.layer.v1.";

class InspectTest : public ::testing::Test {
 protected:
  OpenInput input(const std::string& image) const {
    OpenInput input;
    input.definition.name = "inspect";
    input.definition.image = image;
    input.health = std::make_shared<MountHealth>("inspect");
    return input;
  }
  OpenInput of_file(const std::string& prefix, const std::string& path) const {
    OpenInput one = input(prefix + path);
    one.image = open_file(path, O_RDONLY);
    return one;
  }
  /// The layout, with all of its files open.
  OpenInput of_layout() const {
    OpenInput all = input("oci:" + layout_.root().native());
    for (const auto& entry : std::filesystem::recursive_directory_iterator(layout_.root())) {
      if (!entry.is_regular_file()) continue;
      all.layout.emplace(entry.path().lexically_relative(layout_.root()).native(),
                         open_file(entry.path(), O_RDONLY));
    }
    return all;
  }
  InspectReply look(const OpenInput& input) {
    return inspect(input, {engine_, workers_, store_}, [](const OpenProgress&) {});
  }
  void build_index(OpenInput input) {
    SourceOpener(engine_, loader_, workers_, store_, build_in_process(store_))
        .open(std::move(input), [](const OpenProgress&) {});
  }
  void put_image(const json& config, const std::vector<std::pair<std::string, std::string>>& layers) {
    json manifest = {{"schemaVersion", 2},
                     {"mediaType", "application/vnd.oci.image.manifest.v1+json"},
                     {"config", layout_.put(config.dump(), "application/vnd.oci.image.config.v1+json")}};
    for (const auto& [data, type] : layers) manifest["layers"].push_back(layout_.put(data, type));
    layout_.set_index(json::array({layout_.put(manifest.dump(), manifest["mediaType"])}));
  }

  testing::TemporaryFolder folder_;
  testing::Layout layout_{folder_ / "layout"};
  MemoryBound memory_{64 * kMiB};
  WorkerPool workers_{2};
  SpanLoader loader_{memory_, workers_};
  http::Engine engine_;
  Store store_{folder_ / "store"};
};

TEST_F(InspectTest, SaysHowEachTypeOfLayerCanBeRead) {
  put_image({{"os", "linux"}, {"architecture", "arm64"}, {"created", "2026-01-31T12:00:00Z"}},
            {{"a", kType + "tar"},
             {"b", kType + "tar+gzip"},
             {"c", kType + "tar+zstd"},
             {"d", "application/vnd.erofs.layer.v1"},
             {"e", "text/plain"}});
  const InspectReply reply = look(of_layout());
  EXPECT_EQ(reply.platform, "linux/arm64");
  EXPECT_EQ(reply.created, "2026-01-31T12:00:00Z");
  EXPECT_EQ(reply.media_type, "application/vnd.oci.image.manifest.v1+json");
  ASSERT_THAT(reply.layers, SizeIs(5));
  const std::vector<LayerAccess> expected = {LayerAccess::anywhere, LayerAccess::with_index,
                                             LayerAccess::at_frames, LayerAccess::as_it_is, LayerAccess::no};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(reply.layers[i].access, expected[i]) << i;
  EXPECT_EQ(reply.layers[4].media_type, "text/plain");
  EXPECT_EQ(reply.layers[1].digest, sha256(as_bytes("b")));
  EXPECT_THAT(reply.indexes, IsEmpty());
}

TEST_F(InspectTest, ShowsTheIndexesThatThereAre) {
  const std::string gzip = read_text_file(kData + "/layer.tar.gz", 64 * kMiB);
  const auto tar = testing::gunzip_with_zlib(as_bytes(gzip));
  // The type is not true, and the index knows it.
  put_image({{"rootfs", {{"diff_ids", json::array({to_string(sha256(tar))})}}}}, {{gzip, kType + "tar"}});
  EXPECT_EQ(look(of_layout()).layers[0].access, LayerAccess::anywhere);
  build_index(of_layout());
  OpenInput layer = of_layout();
  layer.definition.layer = "0";
  build_index(std::move(layer));
  const InspectReply reply = look(of_layout());
  ASSERT_THAT(reply.indexes, SizeIs(2));
  EXPECT_EQ(reply.indexes[0].layer, 0u);
  EXPECT_FALSE(reply.indexes[1].layer);
  EXPECT_EQ(reply.indexes[1].spans, reply.layers[0].spans);
  EXPECT_GT(reply.indexes[1].size_bytes, 4096u);
  EXPECT_EQ(reply.layers[0].format, "tar+gzip");
  EXPECT_EQ(reply.layers[0].access, LayerAccess::with_index);
  EXPECT_EQ(reply.layers[0].stream_size_bytes, tar.size());
}

/// A frame of blocks that are stored as they are (RFC 8878, 3.1.1).
std::string zstd_frame(const std::string& data) {
  constexpr size_t kBlock = 128 * 1024;
  std::string frame("\x28\xb5\x2f\xfd\xa0\0\0\0\0", 9);
  store_le(frame.data() + 5, static_cast<uint32_t>(data.size()));
  for (size_t at = 0; at < data.size(); at += kBlock) {
    const size_t length = std::min(kBlock, data.size() - at);
    char header[4];
    store_le(header, static_cast<uint32_t>(length << 3 | (at + length == data.size() ? 1 : 0)));
    frame.append(header, 3).append(data, at, length);
  }
  return frame;
}

TEST_F(InspectTest, ZstdOfOneFrameIsFetchedAsAWhole) {
  const auto bytes = testing::gunzip_with_zlib(as_bytes(read_text_file(kData + "/layer.tar.gz", 64 * kMiB)));
  const std::string tar(as_text(bytes));
  const std::string one = folder_ / "one.tar.zst";
  const std::string many = folder_ / "many.tar.zst";
  write_file_durably(one, zstd_frame(tar), 0644);
  write_file_durably(many, zstd_frame(tar.substr(0, 3 * kMiB)) + zstd_frame(tar.substr(3 * kMiB)), 0644);
  for (const std::string& path : {one, many}) {
    EXPECT_EQ(look(of_file("tar:", path)).layers[0].access, LayerAccess::at_frames) << "not known before";
    build_index(of_file("tar:", path));
  }
  EXPECT_EQ(look(of_file("tar:", one)).layers[0].access, LayerAccess::whole);
  EXPECT_EQ(look(of_file("tar:", many)).layers[0].access, LayerAccess::at_frames);
  EXPECT_EQ(look(of_file("tar:", many)).layers[0].spans, 3u) << "the second frame is cut in two";
}

TEST_F(InspectTest, OfALocalFileItSaysWhatIsInIt) {
  const InspectReply tar = look(of_file("tar:", kData + "/layer.tar.gz"));
  EXPECT_FALSE(tar.digest);
  EXPECT_FALSE(tar.platform);
  EXPECT_FALSE(tar.layers[0].digest);
  EXPECT_FALSE(tar.layers[0].media_type);
  EXPECT_EQ(tar.layers[0].format, "tar+gzip");
  EXPECT_EQ(look(of_file("file:", kData + "/layer.erofs")).layers[0].access, LayerAccess::as_it_is);
}

TEST_F(InspectTest, AConfigurationOfAnotherKindSaysNothing) {
  put_image(json::array({1, 2}), {{"a", kType + "tar"}});
  const InspectReply reply = look(of_layout());
  EXPECT_FALSE(reply.created);
  EXPECT_EQ(reply.platform, to_string(registry::Platform::host()));
}

TEST_F(InspectTest, AsksForFilesAsOpenDoes) {
  layout_.set_index(json::array());
  EXPECT_THROW(look(input("oci:" + layout_.root().native())), FilesWanted);
}

}  // namespace
}  // namespace erofs_oci
