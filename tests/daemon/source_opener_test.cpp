// SPDX-License-Identifier: Apache-2.0
#include "daemon/source_opener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "daemon/index_build.h"
#include "gzip/gzip_testing.h"

namespace erofs_oci {
namespace {

using ::testing::HasSubstr;

const std::string kData = TEST_DATA_DIR;

/// Sources over local files: what is refused, and what is served, does not depend on where the layer lies.
class SourceOpenerTest : public ::testing::Test {
 protected:
  OpenInput input(const std::string& image, const std::string& tarindex = "", const std::string& zinfo = "") {
    OpenInput input;
    input.definition.name = "tools";
    input.definition.image = "file:" + image;
    input.image = open_file(image, O_RDONLY);
    if (!tarindex.empty()) {
      input.definition.tarindex = tarindex;
      input.tarindex = open_file(tarindex, O_RDONLY);
    }
    if (!zinfo.empty()) {
      input.definition.zinfo = zinfo;
      input.zinfo = open_file(zinfo, O_RDONLY);
    }
    input.health = std::make_shared<MountHealth>("tools");
    return input;
  }
  OpenedSource open(OpenInput input) {
    return opener_.open(std::move(input), [](const OpenProgress&) {});
  }
  std::string refusal(OpenInput input) {
    try {
      open(std::move(input));
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  static std::vector<std::byte> read(MappedDevice& device, ByteRange range) {
    std::promise<ReadResult> promise;
    device.read(range, [&](ReadResult result) { promise.set_value(std::move(result)); });
    std::vector<std::byte> bytes;
    for (const Slice& slice : promise.get_future().get().payload) {
      bytes.insert(bytes.end(), slice.bytes.begin(), slice.bytes.end());
    }
    return bytes;
  }
  std::string write(const std::string& name, Bytes bytes) {
    write_file_durably(folder_ / name, as_text(bytes), 0644);
    return folder_ / name;
  }
  static std::string text(const std::string& name) { return read_text_file(kData + "/" + name, 64 * kMiB); }

  testing::TemporaryFolder folder_;
  MemoryBound memory_{64 * kMiB};
  WorkerPool workers_{2};
  SpanLoader loader_{memory_, workers_};
  http::Engine engine_;
  Store store_{folder_ / "store"};
  SourceOpener opener_{engine_, loader_, workers_, store_, build_in_process(store_)};
};

TEST_F(SourceOpenerTest, TarindexAndZinfoMakeMetadataAndArchive) {
  const auto tar = testing::gunzip_with_zlib(as_bytes(text("layer.tar.gz")));
  const std::string index = text("layer.erofs");
  for (const char* zinfo : {"layer.zinfo", "layer.v1.zinfo"}) {
    const OpenedSource source =
        open(input(kData + "/layer.tar.gz", kData + "/layer.erofs", kData + "/" + zinfo));
    EXPECT_EQ(source.device->block_size(), 512u);
    const auto bytes = read(*source.device, {0, index.size() + 7 * kMiB});
    EXPECT_EQ(as_text(Bytes(bytes).first(index.size())), index);
    EXPECT_TRUE(std::equal(bytes.begin() + static_cast<ptrdiff_t>(index.size()), bytes.end(), tar.begin()))
        << zinfo;
  }
}

TEST_F(SourceOpenerTest, TarindexAloneTakesAPlainArchive) {
  const auto tar = testing::gunzip_with_zlib(as_bytes(text("layer.tar.gz")));
  const OpenedSource source = open(input(write("layer.tar", tar), kData + "/layer.erofs"));
  const uint64_t index_size = text("layer.erofs").size();
  const auto bytes = read(*source.device, {index_size, kMiB});
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), tar.begin()));
}

TEST_F(SourceOpenerTest, AnEarlierIndexFileMayChangeWhileItIsServed) {
  const std::string index = write("x.erofs", as_bytes(text("layer.erofs")));
  const OpenedSource source = open(input(kData + "/layer.tar.gz", index, kData + "/layer.zinfo"));
  std::filesystem::resize_file(index, 0);
  EXPECT_EQ(as_text(read(*source.device, {0, 4096})), text("layer.erofs").substr(0, 4096));
}

TEST_F(SourceOpenerTest, RefusesIndexesThatDoNotFitInWords) {
  const std::string layer = kData + "/layer.tar.gz";
  const std::string index = kData + "/layer.erofs";
  const std::string zinfo = kData + "/layer.zinfo";
  EXPECT_THAT(refusal(input(layer, zinfo, zinfo)), HasSubstr("layer.zinfo: is not an EROFS image"));
  EXPECT_THAT(refusal(input(layer, index, index)), HasSubstr("layer.erofs: not a usable zinfo"));
  const std::string cut = write("cut.zinfo", as_bytes(text("layer.zinfo").substr(0, 40'000)));
  EXPECT_THAT(refusal(input(layer, index, cut)), HasSubstr("was it truncated?"));
  const std::string short_tar = write("short.tar", as_bytes(std::string(4096, 'x')));
  EXPECT_THAT(refusal(input(short_tar, index)), HasSubstr("has 4096 bytes, but"));
}

TEST_F(SourceOpenerTest, RefusesATarindexOfAnotherLayer) {
  auto tar = testing::gunzip_with_zlib(as_bytes(text("layer.tar.gz")));
  tar.insert(tar.begin(), 512, std::byte{0});
  EXPECT_THAT(refusal(input(write("other.tar", tar), kData + "/layer.erofs")),
              HasSubstr("does not belong to this layer"));
}

TEST_F(SourceOpenerTest, ZinfoAloneIsACompressedErofsImage) {
  EXPECT_THAT(refusal(input(kData + "/layer.tar.gz", "", kData + "/layer.zinfo")),
              HasSubstr("is not an EROFS image"));
}

TEST_F(SourceOpenerTest, RefusesAZinfoWithADamagedWindow) {
  std::string zinfo = text("layer.zinfo");
  zinfo[12 + 2 * (17 + kWindowSize) - 5] ^= 0x55;  // the window of its second and last span
  const std::string damaged = write("damaged.zinfo", as_bytes(zinfo));
  EXPECT_THAT(refusal(input(kData + "/layer.tar.gz", kData + "/layer.erofs", damaged)),
              HasSubstr("damaged.zinfo: its window of span 1 is not what span 0"));
}

TEST_F(SourceOpenerTest, BlamesTheZinfoThatIsOfAnotherLayer) {
  const std::string other = kData + "/members.zinfo";
  const std::string words = refusal(input(kData + "/layer.tar.gz", kData + "/layer.erofs", other));
  EXPECT_THAT(words, HasSubstr("members.zinfo: "));
  EXPECT_THAT(words, ::testing::Not(HasSubstr("layer.erofs: ")));
}

TEST_F(SourceOpenerTest, RefusesAnImageThatIsCutShort) {
  std::string image = text("layer.erofs");
  const std::string whole = write("whole.erofs", as_bytes(image));
  EXPECT_EQ(open(input(whole)).integrity, Integrity::local);
  image.resize(image.size() - 512);
  EXPECT_THAT(refusal(input(write("cut.erofs", as_bytes(image)))), HasSubstr("is cut short"));
}

/// A definition's image = "tar:…", opened by the client.
class TarImageTest : public SourceOpenerTest {
 protected:
  OpenInput tar(const std::string& path) {
    OpenInput input;
    input.definition.name = "tools";
    input.definition.image = "tar:" + path;
    input.image = open_file(path, O_RDONLY);
    input.health = std::make_shared<MountHealth>("tools");
    return input;
  }
  size_t indexes() const {
    return static_cast<size_t>(std::ranges::count_if(
        std::filesystem::directory_iterator(folder_ / "store/index"), [](const auto&) { return true; }));
  }
};

TEST_F(TarImageTest, IsMountedByAnIndexOfItsOwn) {
  const OpenedSource source = open(tar(kData + "/layer.tar.gz"));
  EXPECT_EQ(source.integrity, Integrity::verified);
  EXPECT_FALSE(source.image_digest);
  EXPECT_EQ(source.device->block_size(), 4096u);
  EXPECT_EQ(open(tar(kData + "/layer.tar.gz")).index_identity, source.index_identity);
  EXPECT_EQ(indexes(), 1u);
}

TEST_F(TarImageTest, IsIndexedAnewWhenTheFileHasChanged) {
  auto archive = testing::gunzip_with_zlib(as_bytes(text("layer.tar.gz")));
  const std::string path = write("x.tar", archive);
  open(tar(path));
  using namespace std::chrono_literals;
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + 1ns);
  open(tar(path));
  EXPECT_EQ(indexes(), 2u);
}

TEST_F(TarImageTest, BytesThatHaveChangedAreAnErrorAndNeverServed) {
  const auto archive = testing::gunzip_with_zlib(as_bytes(text("layer.tar.gz")));
  const std::string path = write("x.tar", archive);
  const OpenedSource source = open(tar(path));
  const UniqueFd file = open_file(path, O_WRONLY);
  pwrite_all(file.get(), 3 * kMiB, as_bytes("changed"), path);
  std::promise<ReadResult> promise;
  source.device->read({0, 8 * kMiB}, [&](ReadResult result) { promise.set_value(std::move(result)); });
  EXPECT_NE(promise.get_future().get().errno_value, 0);
}

TEST_F(TarImageTest, RefusesWhatIsNoArchive) {
  EXPECT_THAT(refusal(tar(kData + "/layer.erofs")), HasSubstr("is an EROFS image: name it file:"));
  const std::string noise(4096, 'x');
  EXPECT_THAT(refusal(tar(write("noise", as_bytes(noise)))), HasSubstr("is it a tar archive?"));
  EXPECT_THAT(refusal(tar(write("empty", {}))), HasSubstr("is empty"));
  OpenInput absent = tar(kData + "/layer.tar.gz");
  absent.definition.index = IndexPolicy::require;
  EXPECT_THAT(refusal(std::move(absent)), HasSubstr("layer.tar.gz here, and index = \"require\""));
}

}  // namespace
}  // namespace erofs_oci
