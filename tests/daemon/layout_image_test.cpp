// SPDX-License-Identifier: Apache-2.0
#include "daemon/layout_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "control/files_wanted.h"
#include "daemon/layout.h"
#include "source/local_file.h"
#include "source/read_stream.h"
#include "tar/archive.h"

namespace erofs_oci {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::of_platform;
using testing::tagged;

const std::string kTar = "application/vnd.oci.image.layer.v1.tar";

class LayoutImageTest : public ::testing::Test {
 protected:
  OpenInput input(const std::string& tag = "") const {
    OpenInput input;
    input.definition.name = "tools";
    input.definition.image = "oci:" + layout_.root().native() + (tag.empty() ? "" : ":" + tag);
    input.definition.platform = "linux/amd64";
    return input;
  }
  json image(const std::string& layer) const {
    return layout_.put_image(layer, kTar, sha256(as_bytes(layer)));
  }

  /// As the client does: calls again with what is wanted; notes each round.
  std::unique_ptr<LayoutImage> open(OpenInput input) {
    for (;;) {
      try {
        return LayoutImage::open(
            input, std::make_unique<LayoutFolder>(input.layout, layout_.root().native(), workers_));
      } catch (const FilesWanted& wanted) {
        rounds_.push_back(wanted.names.size());
        for (const std::string& name : wanted.names)
          input.layout.emplace(name, open_file(layout_.root() / name, O_RDONLY));
      }
    }
  }
  std::string refusal(OpenInput input) {
    try {
      open(std::move(input));
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  static std::string layer_of(LayoutImage& image, size_t number = 0) {
    const auto blob = image.open_layer(number, Image::Preflight::ask).blob;
    return std::string(as_text(read_blob(*blob, {0, blob->size_bytes()})));
  }

  testing::TemporaryFolder folder_;
  testing::Layout layout_{folder_ / "layout"};
  WorkerPool workers_{1};
  std::vector<size_t> rounds_;
};

TEST_F(LayoutImageTest, IsTheOnlyImageOfAFolder) {
  const json manifest = image("only");
  layout_.set_index(json::array({manifest}));
  const auto opened = open(input());
  EXPECT_EQ(to_string(*opened->digest()), manifest["digest"].get<std::string>());
  EXPECT_EQ(layer_of(*opened), "only");
  EXPECT_THAT(opened->diff_ids(), ElementsAre(sha256(as_bytes("only"))));
  EXPECT_THAT(rounds_, ElementsAre(1, 1, 2)) << "index.json; manifest; configuration and layer";
}

TEST_F(LayoutImageTest, IsChosenByItsTag) {
  layout_.set_index(json::array({tagged(image("first"), "1"), tagged(image("second"), "docker.io/x:2")}));
  EXPECT_EQ(layer_of(*open(input("1"))), "first");
  EXPECT_EQ(layer_of(*open(input("docker.io/x:2"))), "second");
  EXPECT_THAT(refusal(input("3")), HasSubstr("it has no tag 3; it has: 1, docker.io/x:2"));
  EXPECT_THAT(refusal(input()), HasSubstr("it has several images: choose one by its tag"));
}

TEST_F(LayoutImageTest, IsChosenByPlatformFromAnIndexOrAnInnerOne) {
  const json entries = {of_platform(image("arm"), "arm64"), of_platform(image("amd"), "amd64")};
  layout_.set_index(entries);
  EXPECT_EQ(layer_of(*open(input())), "amd");
  layout_.set_index(json::array({tagged(layout_.put_index(entries), "all")}));
  EXPECT_EQ(layer_of(*open(input("all"))), "amd");
  OpenInput other = input("all");
  other.definition.platform = "linux/s390x";
  EXPECT_THAT(refusal(std::move(other)),
              HasSubstr("it has no manifest for linux/s390x; it has: linux/arm64, linux/amd64"));
  layout_.set_index(
      json::array({layout_.put_index(json::array({of_platform(layout_.put_index(entries), "amd64")}))}));
  EXPECT_THAT(refusal(input()), HasSubstr("and that to another one"));
}

TEST_F(LayoutImageTest, IsOpenedAgainByItsDigestAlone) {
  const json manifest = image("pinned");
  std::filesystem::remove(layout_.root() / "index.json");
  OpenInput pinned = input("gone");
  pinned.pinned = Digest::parse(manifest["digest"].get<std::string>());
  EXPECT_EQ(layer_of(*open(std::move(pinned))), "pinned");
  EXPECT_THAT(rounds_, ElementsAre(1, 2));
  write_file_durably(layout_.path_of(manifest), "{}", 0644);
  pinned = input("gone");
  pinned.pinned = Digest::parse(manifest["digest"].get<std::string>());
  EXPECT_THAT(refusal(std::move(pinned)), HasSubstr("is not what its name says"));
}

TEST_F(LayoutImageTest, WantsTheLayerThatIsAskedForAndNoOther) {
  json manifest = {{"config", layout_.put("{}", "")},
                   {"layers", {layout_.put("a", kTar), layout_.put("b", kTar)}}};
  layout_.set_index(
      json::array({layout_.put(manifest.dump(), "application/vnd.oci.image.manifest.v1+json")}));
  std::filesystem::remove(layout_.path_of(manifest["layers"][0]));
  OpenInput second = input();
  second.definition.layer = "1";
  EXPECT_EQ(layer_of(*open(std::move(second)), 1), "b");
}

TEST_F(LayoutImageTest, RefusesWhatDiffersFromItsDigestOrSize) {
  const json manifest = image("layer");
  layout_.set_index(json::array({manifest}));
  const auto spoil = [&](const json& descriptor, const std::string& text) {
    const auto path = layout_.path_of(descriptor);
    const std::string former = read_text_file(path, kMiB);
    write_file_durably(path, text, 0644);
    const std::string said = refusal(input());
    write_file_durably(path, former, 0644);
    return said;
  };
  const json parts = json::parse(read_text_file(layout_.path_of(manifest), kMiB));
  std::string other = read_text_file(layout_.path_of(manifest), kMiB);
  other.back() = ' ';
  EXPECT_THAT(spoil(manifest, other), HasSubstr("its SHA-256 is"));
  EXPECT_THAT(spoil(manifest, other + " "), HasSubstr("bytes came"));
  EXPECT_THAT(spoil(parts["config"], "x"), HasSubstr("has 1 bytes, the manifest says"));
  EXPECT_THAT(spoil(parts["layers"][0], "longer"), HasSubstr("has 6 bytes, the manifest says 5"));
  EXPECT_EQ(refusal(input()), "accepted");
}

TEST_F(LayoutImageTest, RefusesAnIndexThatIsTooLongUnread) {
  layout_.set_index(json::array());
  EXPECT_THAT(refusal(input()), HasSubstr("it has no image"));
  std::filesystem::resize_file(layout_.root() / "index.json", 100 * kMiB);
  EXPECT_THAT(refusal(input()), HasSubstr("index.json: has 100.0 MiB, at most 4.0 MiB are taken"));
}

TEST_F(LayoutImageTest, BlobsFailOnceItIsGivenUp) {
  layout_.set_index(json::array({image("layer")}));
  const auto opened = open(input());
  EXPECT_EQ(layer_of(*opened), "layer");
  opened->give_up(given_up());
  EXPECT_THROW(layer_of(*opened), Error);
}

class LayoutArchiveTest : public LayoutImageTest {
 protected:
  /// The members of the folder's layout, in a tar file.
  std::string pack() const {
    std::string archive;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(layout_.root())) {
      if (!entry.is_regular_file()) continue;
      const std::string name = "./" + entry.path().lexically_relative(layout_.root()).native();
      archive += member({.name = name}, read_text_file(entry.path(), 64 * kMiB));
    }
    return archive + end_blocks();
  }
  std::unique_ptr<LayoutImage> open_archive(const std::string& archive) {
    const std::string path = folder_ / "image.tar";
    write_file_durably(path, archive, 0644);
    return LayoutImage::open(input(), std::make_unique<LayoutArchive>(std::make_shared<LocalFile>(
                                          open_file(path, O_RDONLY), path, workers_)));
  }
  std::string archive_refusal(const std::string& archive) {
    try {
      open_archive(archive);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
};

TEST_F(LayoutArchiveTest, HasTheSameImage) {
  const std::string layer(300'000, 'x');
  layout_.set_index(json::array({image(layer)}));
  EXPECT_EQ(layer_of(*open_archive(pack())), layer);
}

TEST_F(LayoutArchiveTest, SaysWhatIsMissing) {
  EXPECT_THAT(archive_refusal(pack()), HasSubstr("image.tar has no index.json: it is no archive of an OCI"));
  const json manifest = image("layer");
  layout_.set_index(json::array({manifest}));
  std::filesystem::remove(layout_.path_of(manifest));
  EXPECT_THAT(archive_refusal(pack()), HasSubstr("image.tar has no blobs/sha256/"));
  EXPECT_THAT(archive_refusal(pack().substr(0, 300)), HasSubstr("was it cut?"));
}

}  // namespace
}  // namespace erofs_oci
