// SPDX-License-Identifier: Apache-2.0
#include "index/builder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <numeric>

#include "index/building.h"
#include "index/tarindex.h"

namespace erofs_oci {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kData = TEST_DATA_DIR;

class ImageOf : public ::testing::TestWithParam<Form> {};

INSTANTIATE_TEST_SUITE_P(Form, ImageOf, ::testing::ValuesIn(forms()),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(ImageOf, HoldsWhatTheArchiveHolds) {
  const std::string tar = varied_archive();
  const ImageIndex index(fd_of(build_index(image_input({GetParam().compress(tar)}))), "test");
  EXPECT_EQ(index.identity().layers[0].format, GetParam().format);
  EXPECT_EQ(index.identity().layers[0].diff_id, sha256(as_bytes(tar)));
  const DeviceContents contents(index, {tar});
  std::map<std::string, std::string> expected = {
      {"d/big", prose(400'000, 7)},          {"d/empty", ""},
      {"d/link", prose(400'000, 7)},         {"small", "small\n"},
      {"zeros", std::string(200'000, '\0')}, {"odd", prose(70'001, 8)},
  };
  EXPECT_EQ(contents.files(), expected);
  index.verify();
}

/// Of what gzip's spans are decoded from, the README says; of what they are, else.
Digest digest_of(const ImageIndex& index, size_t span, const std::string& tar, const std::string& blob) {
  const auto& spans = index.spans(0);
  const ScannedSpan& at = spans[span];
  const bool is_last = span + 1 == spans.size();
  if (index.identity().layers[0].format != StreamFormat::gzip)
    return sha256(as_bytes(tar.substr(at.out, (is_last ? tar.size() : spans[span + 1].out) - at.out)));
  const uint64_t begin = at.in - (at.bits != 0 ? 1 : 0);
  const uint64_t end = is_last ? blob.size() : spans[span + 1].in;
  std::string window(at.window_size, '\0');
  pread_exactly(index.file(), index.windows(0).offset + at.window_offset, std::as_writable_bytes(std::span(window)), "test");
  return sha256(as_bytes(blob.substr(begin, end - begin) + window));
}

TEST_P(ImageOf, HasTheSpansDigests) {
  const std::string tar = varied_archive();
  const std::string blob = GetParam().compress(tar);
  const ImageIndex index(fd_of(build_index(image_input({blob}))), "test");
  const auto& spans = index.spans(0);
  for (size_t i = 0; i < spans.size(); ++i) EXPECT_EQ(spans[i].digest, digest_of(index, i, tar, blob)) << i;
}

/// Remembers what it was given.
class RememberingSink : public LayerSink {
 public:
  explicit RememberingSink(std::vector<std::string>& spans, std::optional<Digest>& finished)
      : spans_(spans), finished_(finished) {}
  void output(Bytes bytes) override { span_ += as_text(bytes); }
  void end_span() override { spans_.push_back(std::exchange(span_, "")); }
  void finish(const LayerScan&, const Digest& spans_part) override { finished_ = spans_part; }

 private:
  std::vector<std::string>& spans_;
  std::optional<Digest>& finished_;
  std::string span_;
};

TEST_P(ImageOf, HandsOnWhatItDecodesSpanBySpan) {
  const std::string tar = varied_archive();
  ImageInput image = image_input({GetParam().compress(tar)});
  image.layers[0].digest = sha256(as_bytes(GetParam().compress(tar)));
  std::vector<std::string> given;
  std::optional<Digest> finished;
  BuildOptions options = build_options();
  options.sinks = [&](const Digest&) { return std::make_unique<RememberingSink>(given, finished); };
  const ImageIndex index(fd_of(build_index(image, options)), "test");
  const auto& spans = index.spans(0);
  ASSERT_GE(given.size(), spans.size());
  for (size_t i = 0; i < spans.size(); ++i) EXPECT_TRUE(given[i] == tar.substr(spans[i].out, given[i].size())) << i;
  for (size_t i = spans.size(); i < given.size(); ++i) EXPECT_EQ(given[i], "");
  EXPECT_EQ(std::accumulate(given.begin(), given.end(), std::string()).size(), tar.size());
  EXPECT_EQ(finished, index.spans_digest(0));
}

TEST(Builder, TellsNoSinkThatALayerIsGoodWhichIsNot) {
  ImageInput image = image_input({testing::varied_archive()});
  image.layers[0].digest = sha256(as_bytes("another"));
  std::vector<std::string> given;
  std::optional<Digest> finished;
  BuildOptions options = build_options();
  options.sinks = [&](const Digest&) { return std::make_unique<RememberingSink>(given, finished); };
  EXPECT_THAT(build_failure(image, options), HasSubstr("its digest is"));
  EXPECT_FALSE(given.empty());
  EXPECT_FALSE(finished);
}

TEST_P(ImageOf, AnEmptyArchiveIsAnEmptyTree) {
  for (const std::string& tar : {std::string(), end_blocks(), std::string(200 * kKiB, '\0')}) {
    if (tar.empty() && GetParam().format == StreamFormat::zstd) continue;  // that is no zstd file
    if (tar.empty() && std::string(GetParam().name).starts_with("gzip_") &&
        std::string(GetParam().name).ends_with("members"))
      continue;
    const ImageIndex index(fd_of(build_index(image_input({GetParam().compress(tar)}))), "test");
    EXPECT_TRUE(DeviceContents(index, {tar}).files().empty());
    EXPECT_EQ(index.identity().layers[0].stream_size, tar.size());
  }
}

/// A span that begins where only an empty block or frame follows once made an index that could not be opened.
TEST_P(ImageOf, OpensWhereTheStreamEndsBehindASpan) {
  const std::string tar = member_of("zeros", std::string(2 * kTestSpan - 3 * kTarBlock, '\0')) + end_blocks();
  ASSERT_EQ(tar.size(), 2 * kTestSpan);
  for (const std::string& behind : {std::string(), gzip_text(""), zstd_skippable(50'000)}) {
    std::string blob = GetParam().compress(tar);
    if (!behind.empty() && detect_format(as_bytes(behind)) != GetParam().format) continue;
    if (blob.ends_with('\0') && GetParam().format == StreamFormat::gzip && !behind.empty())
      continue;  // padding
    blob += behind;
    const ImageIndex index(fd_of(build_index(image_input({blob}))), "test");
    EXPECT_EQ(DeviceContents(index, {tar}).files().at("zeros").size(), tar.size() - 3 * kTarBlock);
  }
}

TEST(Builder, AnImageWithoutLayersIsAnEmptyTree) {
  const ImageIndex index(fd_of(build_index(image_input({}))), "test");
  EXPECT_TRUE(DeviceContents(index, {}).files().empty());
}

TEST(Builder, MergesLayersOfAllForms) {
  std::vector<std::string> streams;
  std::vector<std::string> blobs;
  std::map<std::string, std::string> expected;
  for (size_t i = 0; i < forms().size(); ++i) {
    const std::string name = fmt::format("f{}", i);
    expected[name] = prose(100'000, static_cast<unsigned>(i));
    std::string tar = member_of(name, expected[name]) + member_of("gone", "x") + member_of("same", name);
    if (i + 1 == forms().size()) tar = tar + member_of(".wh.f0", "") + member_of(".wh.f1", "");
    streams.push_back(tar + end_blocks());
    blobs.push_back(forms()[i].compress(streams.back()));
  }
  expected.erase("f0");
  expected.erase("f1");
  expected["gone"] = "x";
  expected["same"] = fmt::format("f{}", forms().size() - 1);
  const ImageIndex index(fd_of(build_index(image_input(blobs), build_options(3))), "test");
  EXPECT_EQ(DeviceContents(index, streams).files(), expected);
}

TEST(Builder, LaysDataOutInTheOrderOfLayersAndTheirStreams) {
  const std::string tar = varied_archive();
  const ImageIndex index(fd_of(build_index(image_input({gzip_text(tar), varied_archive(20)}))), "test");
  std::pair<uint32_t, uint64_t> before{0, 0};
  for (const Extent& extent : index.extents()) {
    EXPECT_EQ(extent.device_offset % 4096, 0u);
    EXPECT_LE(before, std::pair(extent.target, extent.target_offset));
    before = {extent.target, extent.target_offset};
  }
  EXPECT_EQ(index.extents().size(), 4u);  // the lower layer's files are hidden by the upper one's
}

TEST(Builder, GivesTheSameBytesWhateverTheThreadsAndTheTimesOfReads) {
  std::vector<std::string> blobs;
  for (unsigned i = 0; i < 4; ++i) blobs.push_back(forms()[i % forms().size()].compress(varied_archive(i)));
  blobs.push_back(member_of("noise", prose(9 * kMiB)));  // of several pieces
  const std::string expected = build_index(image_input(blobs));
  EXPECT_EQ(build_index(image_input(blobs)), expected);
  for (const unsigned threads : {1u, 2u, 16u}) {
    const ImageInput image = image_input(blobs);
    for (const LayerInput& layer : image.layers)
      static_cast<MemoryBlob&>(*layer.blob).delay = std::chrono::milliseconds(20);
    EXPECT_EQ(build_index(image, build_options(threads)), expected) << threads;
  }
}

TEST(Builder, ReportsWhatItMade) {
  const UniqueFd out = memory_fd();
  const BuildReport report =
      build_image_index(image_input({varied_archive()}), build_options(), out.get(), "test");
  const ImageIndex index(fd_of(bytes_of_file(out.get())), "test");
  EXPECT_EQ(report.identity, index.digest());
  EXPECT_EQ(report.inodes, 8u);
  EXPECT_EQ(report.metadata_size, index.metadata().size);
  EXPECT_EQ(report.layers[0].stream_size, varied_archive().size());
}

TEST(Builder, TellsProgressUpToTheWhole) {
  BuildOptions options = build_options(2);
  std::pair<uint64_t, uint64_t> last;
  options.progress = [&](uint64_t done, uint64_t total) {
    EXPECT_GT(done, last.first);
    last = {done, total};
  };
  const std::vector<std::string> blobs = {varied_archive(), gzip_text(varied_archive())};
  build_index(image_input(blobs), options);
  EXPECT_EQ(last, std::pair(blobs[0].size() + blobs[1].size(), blobs[0].size() + blobs[1].size()));
}

TEST(Builder, ProgressMayGiveUp) {
  BuildOptions options = build_options(2);
  options.progress = [](uint64_t, uint64_t) { throw Error(ErrorKind::busy, "it is to stop"); };
  EXPECT_EQ(build_failure(image_input({varied_archive(), varied_archive()}), options), "busy: it is to stop");
}

TEST(Builder, RefusesBlobsAndStreamsThatAreNotWhatTheImageSays) {
  const std::string tar = varied_archive();
  const std::string blob = gzip_text(tar);
  ImageInput image = image_input({tar, blob});
  image.layers[1].digest = sha256(as_bytes(blob));
  image.layers[1].diff_id = sha256(as_bytes(tar));
  EXPECT_EQ(build_failure(image), "none");
  image.layers[1].digest = sha256({});
  EXPECT_THAT(build_failure(image),
              AllOf(StartsWith("corrupt: layer 1: its digest is sha256:"),
                    HasSubstr(to_string(sha256(as_bytes(blob)))), HasSubstr(to_string(sha256({})))));
  image.layers[1].digest.reset();
  image.layers[1].diff_id = sha256({});
  EXPECT_THAT(build_failure(image), StartsWith("corrupt: layer 1: its uncompressed digest is sha256:"));
}

TEST(Builder, EndsWithTheErrorOfAReadThatFails) {
  for (const unsigned threads : {1u, 2u}) {
    for (const uint64_t fails_at : {uint64_t{0}, uint64_t{1}, 5 * kMiB, 9 * kMiB - 1}) {
      const std::string tar = member_of("noise", prose(9 * kMiB - kTarBlock));
      const ImageInput image = image_input({tar, varied_archive()});
      auto& blob = static_cast<MemoryBlob&>(*image.layers[0].blob);
      blob.fails_at = fails_at;
      blob.delay = std::chrono::milliseconds(threads);
      EXPECT_EQ(build_failure(image, build_options(threads)), "unavailable: layer 0 is away") << fails_at;
    }
  }
}

TEST(Builder, NamesTheLayerThatIsNoArchive) {
  EXPECT_THAT(build_failure(image_input({varied_archive(), std::string(1000, 'x')})),
              StartsWith("corrupt: layer 1: "));
  const std::string gz = gzip_text(varied_archive());
  EXPECT_THAT(build_failure(image_input({gz.substr(0, gz.size() / 2)})),
              StartsWith("corrupt: layer 0: gzip data"));
  EXPECT_THAT(build_failure(image_input({zstd_frames(varied_archive(), 70'000).substr(0, 100)})),
              StartsWith("corrupt: layer 0: zstd data"));
}

TEST(Builder, RefusesAMemberWhoseDataTheArchiveDoesNotHave) {
  std::string tar = member_of("f", std::string(2000, 'x'));
  tar.resize(1024);
  for (const Form& form : forms())
    EXPECT_THAT(build_failure(image_input({form.compress(tar)})),
                AllOf(StartsWith("corrupt: layer 0: "), HasSubstr("'f'")));
}

TEST(Builder, RefusesANulInALink) {
  const std::string tar = pax({{"linkpath", std::string("a\0b", 3)}}) +
                          member({.name = "s", .type = '2', .link = "x"}) + end_blocks();
  EXPECT_THAT(build_failure(image_input({tar})), StartsWith("corrupt: layer 0: "));
}

std::string sparse_member(const std::string& name, const std::string& size,
                          const std::string& map = "0,512") {
  return pax({{"path", name}, {"GNU.sparse.size", size}, {"GNU.sparse.map", map}}) +
         member({}, std::string(512, 'x'));
}

TEST(Builder, HolesReadAsZeros) {
  const std::string tar = pax({{"GNU.sparse.size", "100000"}, {"GNU.sparse.map", "5000,100,50000,412"}}) +
                          member({}, prose(512)) + end_blocks();
  const ImageIndex index(fd_of(build_index(image_input({gzip_text(tar)}))), "test");
  std::string expected(100'000, '\0');
  expected.replace(5000, 100, prose(512), 0, 100);
  expected.replace(50'000, 412, prose(512), 100, 412);
  EXPECT_EQ(DeviceContents(index, {tar}).files().at("file"), expected);
}

template <typename Action>
void expect_quick(Action&& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(100));
}

std::string tarindex_failure(const std::string& tar) {
  return failure_of([&] {
    const UniqueFd out = memory_fd();
    build_tarindex(layer_input(tar), build_options(), {.tarindex = out.get()});
  });
}

TEST(Builder, RefusesAHugeHoleAtOnce) {
  for (const char* size : {"1152921504606846976", "9223372036854775807", "18000000000000"}) {
    const std::string tar = sparse_member("huge", size) + end_blocks();
    expect_quick([&] {
      EXPECT_THAT(build_failure(image_input({tar})), AllOf(StartsWith("unsupported: "), HasSubstr("TiB")));
      EXPECT_THAT(tarindex_failure(tar),
                  AllOf(StartsWith("unsupported: "), HasSubstr("/huge: it is sparse")));
    });
  }
}

TEST(Builder, RefusesFilesThatAreHugeTogether) {
  std::string tar;
  for (int i = 0; i < 20; ++i) tar += sparse_member(fmt::format("f{}", i), "1000000000000");
  EXPECT_THAT(build_failure(image_input({tar})),
              StartsWith("unsupported: files of more than 15 TiB together"));
}

/// Each of these files needs 32 MiB of chunk indexes.
TEST(Builder, RefusesSparseFilesThatWouldMakeBoundlessMetadata) {
  std::string tar;
  for (int i = 0; i < 100; ++i) tar += sparse_member(fmt::format("f{}", i), std::to_string(2 * kGiB));
  expect_quick([&] {
    EXPECT_THAT(tarindex_failure(tar),
                StartsWith("unsupported: its metadata would need 3.1 GiB, and 64.8 MiB is the most"));
  });
  EXPECT_EQ(tarindex_failure(tar.substr(0, tar.size() / 100)), "none");
}

TEST(Builder, RefusesMembersThatNeedBoundlessMemory) {
  const std::string value(TarReader::kMaxHeaderData - 100, 'v');
  const std::string one = pax({{"SCHILY.xattr.user.v", value}}) + member({.name = "f"});
  std::string tar;
  while (tar.size() < 16 * kMiB) tar += one;
  std::string blob;
  const std::string part = zstd_frames(tar, SIZE_MAX / 2);
  for (int i = 0; i < 70; ++i) blob += part;  // 1.1 GiB of a few KiB
  expect_quick([&] {
    EXPECT_THAT(build_failure(image_input({blob})),
                StartsWith("unsupported: layer 0: its members need more than 1.0 GiB of memory"));
  });
}

/// Negating the earliest time overflows.
TEST(Builder, TakesTheTimesAtTheEndsOfTheirRange) {
  std::string tar;
  for (const int64_t time : {INT64_MIN, INT64_MAX, int64_t{0}})
    tar += member({.name = fmt::format("f{}", time), .mtime = base256(time)});
  const ImageIndex index(fd_of(build_index(image_input({tar}))), "test");
  const DeviceContents contents(index, {tar});
  const auto& nodes = contents.tree().nodes;
  for (const int64_t time : {INT64_MIN, INT64_MAX, int64_t{0}})
    EXPECT_EQ(nodes[nodes[0].children.at(fmt::format("f{}", time))].mtime, time);
}

TEST(Builder, RefusesMoreLayersThanAnIndexHolds) {
  const std::vector<std::string> blobs(1001);
  EXPECT_EQ(build_failure(image_input(blobs)), "unsupported: 1001 layers; at most 1000 can be merged");
  const std::vector<std::string> most(1000);
  EXPECT_EQ(build_failure(image_input(most), build_options(2)), "none");
}

// ---- tarindexes, compared with what another tool made

struct BuiltTarindex {
  explicit BuiltTarindex(const std::string& blob, Whiteouts whiteouts = Whiteouts::keep) {
    const UniqueFd tarindex_fd = memory_fd();
    const UniqueFd zinfo_fd = memory_fd();
    BuildOptions options = build_options();
    options.span_size = 4 * kMiB;
    build_tarindex(layer_input(blob), options,
                   {.tarindex = tarindex_fd.get(), .zinfo = zinfo_fd.get(), .whiteouts = whiteouts});
    tarindex = bytes_of_file(tarindex_fd.get());
    zinfo = bytes_of_file(zinfo_fd.get());
  }
  std::string tarindex;
  std::string zinfo;
};

std::string golden(const std::string& name) {
  return read_text_file(kData + "/" + name, 64 * kMiB);
}

/// A tarindex's tree without times: the golden one has the same for all.
std::vector<std::string> tree_without_times(const std::string& tarindex) {
  erofs::Tree tree = erofs::testing::read_tree(erofs::testing::reader_of(tarindex));
  for (erofs::Node& node : tree.nodes) node.mtime = node.mtime_nanoseconds = 0;
  return erofs::testing::listing(tree);
}

TEST(TarindexBuilder, MakesTheZinfoOfErofsUtils) {
  EXPECT_TRUE(BuiltTarindex(golden("layer.tar.gz")).zinfo == golden("layer.zinfo"));
}

TEST(TarindexBuilder, MakesTheTreeOfErofsUtils) {
  const std::string built = BuiltTarindex(golden("layer.tar.gz")).tarindex;
  EXPECT_EQ(tree_without_times(built), tree_without_times(golden("layer.erofs")));
  // What is behind the members, two blocks of zeros, is not needed.
  const std::string theirs = golden("layer.erofs");
  EXPECT_EQ(erofs::testing::reader_of(built).extra_device().size_bytes + 2 * kTarBlock,
            erofs::testing::reader_of(theirs).extra_device().size_bytes);
}

TEST(TarindexBuilder, MakesTheOverlayTreeOfErofsUtils) {
  const std::string built = BuiltTarindex(golden("layer.tar.gz"), Whiteouts::overlay).tarindex;
  EXPECT_EQ(tree_without_times(built), tree_without_times(golden("layer-aufs.erofs")));
}

TEST(TarindexBuilder, MakesTheSameOfThePlainArchive) {
  const std::string gz = golden("layer.tar.gz");
  const BuiltTarindex plain(std::string(as_text(gunzip_with_zlib(as_bytes(gz)))));
  EXPECT_TRUE(plain.tarindex == BuiltTarindex(gz).tarindex);
  EXPECT_TRUE(plain.zinfo.empty());
}

TEST(TarindexBuilder, ItsSamplesAreFoundInTheArchive) {
  const std::string tar = varied_archive();
  const UniqueFd file = fd_of(BuiltTarindex(tar).tarindex);
  EXPECT_EQ(open_tarindex(file.get(), "x").archive_size, tar.size() - 2 * kTarBlock);
  for (const TarSample& sample : pick_samples(file.get(), "x", 100))
    check_sample(sample, as_bytes(tar).subspan(sample.header_offset, kTarBlock));
}

TEST(TarindexBuilder, TakesAnEmptyArchive) {
  for (const std::string& tar : {std::string(), end_blocks(), gzip_text("")}) {
    const std::string tarindex = BuiltTarindex(tar).tarindex;
    EXPECT_EQ(erofs::testing::read_tree(erofs::testing::reader_of(tarindex)).nodes.size(), 1u);
  }
}

TEST(TarindexBuilder, RefusesWhatIsNotTheLayerMeant) {
  LayerInput input = layer_input(varied_archive());
  input.diff_id = sha256({});
  const UniqueFd out = memory_fd();
  EXPECT_THAT(failure_of([&] { build_tarindex(input, build_options(), {.tarindex = out.get()}); }),
              StartsWith("corrupt: layer: its uncompressed digest is"));
  EXPECT_TRUE(bytes_of_file(out.get()).empty());
}

}  // namespace
}  // namespace erofs_oci
