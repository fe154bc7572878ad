// SPDX-License-Identifier: Apache-2.0
#include "index/image_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "index/building.h"
#include "index/crafting.h"

namespace erofs_oci {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Layer 0 is gzip with windows, layer 1 plain, layer 2 zstd.
const std::string& good() {
  static const std::string bytes = [] {
    std::string odd = member_of("odd", prose(150'000, 3));
    return build_index(
        image_input({gzip_text(varied_archive()), odd, zstd_frames(member_of("z", prose(90'000)), 30'000)}));
  }();
  return bytes;
}

std::string open_failure(const std::string& bytes) {
  return failure_of([&] { ImageIndex(fd_of(bytes), "x.index"); });
}

TEST(ImageIndex, HoldsWhatWasBuilt) {
  ImageInput image = image_input({gzip_text(varied_archive())});
  image.manifest = sha256(as_bytes("manifest"));
  image.layer = 3;
  const ImageIndex index(fd_of(build_index(image)), "x.index");
  const IndexIdentity& identity = index.identity();
  EXPECT_THAT(identity.tool, StartsWith("erofs-oci "));
  EXPECT_EQ(identity.manifest, image.manifest);
  EXPECT_EQ(identity.platform, "linux/amd64");
  EXPECT_EQ(identity.layer, 3u);
  EXPECT_EQ(identity.span_size, kTestSpan);
  EXPECT_EQ(identity.layers[0].diff_id, sha256(as_bytes(varied_archive())));
  EXPECT_EQ(index.file() >= 0, true);
  EXPECT_EQ(index.name(), "x.index");
}

TEST(ImageIndex, NoticesEveryChangedByteThatItReads) {
  CraftedIndex crafted(good());
  const auto expect_noticed = [&](uint64_t begin, uint64_t end) {
    for (uint64_t at = begin; at < end; ++at) {
      std::string bytes = good();
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
      const bool version = at >= 8 && at < 12;
      EXPECT_THAT(open_failure(bytes), StartsWith(version ? "unsupported: x.index: " : "corrupt: x.index: "))
          << at;
    }
  };
  expect_noticed(0, crafted.table_end() + 32);
  for (size_t i = 0; i < crafted.header().parts; ++i) {
    const format::Part& part = crafted.part(i);
    if (part.type != format::PartType::windows) expect_noticed(part.offset, part.offset + part.size);
  }
}

TEST(ImageIndex, VerifyNoticesEveryChangedByteOfWindows) {
  CraftedIndex crafted(good());
  const format::Part part = crafted.part_of(format::PartType::windows);
  ASSERT_GT(part.size, 1000u);
  for (uint64_t at = part.offset; at < part.offset + part.size; at += 17) {
    std::string bytes = good();
    bytes[at] = static_cast<char>(~bytes[at]);
    const ImageIndex index(fd_of(bytes), "x.index");
    EXPECT_THAT(failure_of([&] { index.verify(); }),
                AllOf(StartsWith("corrupt: x.index: "), HasSubstr("windows")))
        << at;
  }
}

TEST(ImageIndex, RefusesAFileThatIsCutOrTooLong) {
  CraftedIndex crafted(good());
  std::vector<uint64_t> sizes = {0,
                                 1,
                                 8,
                                 23,
                                 24,
                                 25,
                                 crafted.table_end() - 1,
                                 crafted.table_end(),
                                 crafted.table_end() + 31,
                                 crafted.table_end() + 32,
                                 good().size() - 1};
  for (size_t i = 0; i < crafted.header().parts; ++i) {
    const format::Part part = crafted.part(i);
    for (const uint64_t size : {part.offset - 1, uint64_t{part.offset}, part.offset + 1,
                                part.offset + part.size - 1, part.offset + part.size})
      sizes.push_back(size);
  }
  for (const uint64_t size : sizes) {
    if (size >= good().size()) continue;
    EXPECT_THAT(open_failure(good().substr(0, size)), StartsWith("corrupt: x.index: the index is damaged"))
        << size;
    CraftedIndex cut(good().substr(0, size));  // one that says so itself
    if (size >= sizeof(format::Header)) cut.header().file_size = size;
    cut.repair();
    EXPECT_THAT(open_failure(cut.bytes()), StartsWith("corrupt: x.index: the index is damaged")) << size;
  }
  EXPECT_THAT(open_failure(good() + 'x'), HasSubstr("its size is wrong"));
}

TEST(ImageIndex, SaysWhatToDoAboutAnotherVersion) {
  CraftedIndex crafted(good());
  crafted.header().version = format::kVersion + 1;
  crafted.repair();
  EXPECT_EQ(open_failure(crafted.bytes()),
            "unsupported: x.index: the index is of version 3, this program knows 2; remove it, and it will "
            "be built anew");
}

struct Case {
  const char* what;
  std::function<void(CraftedIndex&)> craft;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.what;
}

class Crafted : public ::testing::TestWithParam<Case> {};

TEST_P(Crafted, IsRefused) {
  CraftedIndex crafted(good());
  crafted.repair();
  ASSERT_TRUE(crafted.bytes() == good());
  GetParam().craft(crafted);
  ASSERT_FALSE(crafted.bytes() == good()) << "nothing was changed";
  crafted.repair();
  EXPECT_THAT(open_failure(crafted.bytes()), StartsWith("corrupt: x.index: "));
}

using Type = format::PartType;

INSTANTIATE_TEST_SUITE_P(
    Header, Crafted,
    ::testing::Values(
        Case{"many_parts", [](CraftedIndex& x) { x.header().parts = UINT32_MAX; }},
        Case{"more_parts_than_file", [](CraftedIndex& x) { x.header().parts = 4096; }},
        Case{"one_part_more", [](CraftedIndex& x) { ++x.header().parts; }},
        Case{"one_part_less", [](CraftedIndex& x) { --x.header().parts; }},
        Case{"no_parts", [](CraftedIndex& x) { x.header().parts = 0; }},
        Case{"file_size", [](CraftedIndex& x) { x.header().file_size = UINT64_MAX; }},
        Case{"offset_wraps", [](CraftedIndex& x) { x.part(4).offset = UINT64_MAX - 4095; }},
        Case{"size_wraps", [](CraftedIndex& x) { x.part(4).size = UINT64_MAX - x.part(4).offset + 2; }},
        Case{"size_beyond", [](CraftedIndex& x) { x.part(8).size += 1; }},
        Case{"size_short", [](CraftedIndex& x) { x.part(8).size -= 1; }},
        Case{"offset_in_header", [](CraftedIndex& x) { x.part(0).offset = 0; }},
        Case{"offset_not_aligned", [](CraftedIndex& x) { x.part(0).offset += 8; }},
        Case{"overlap", [](CraftedIndex& x) { x.part(3).offset = x.part(2).offset; }},
        Case{"not_sorted", [](CraftedIndex& x) { std::swap(x.part(3), x.part(4)); }},
        Case{"unknown_type", [](CraftedIndex& x) { x.part(3).type = static_cast<Type>(9); }},
        Case{"not_zero", [](CraftedIndex& x) { x.part(3).zero = 1; }},
        Case{"wrong_layer", [](CraftedIndex& x) { x.part(4).layer = 2; }},
        Case{"layers_swapped", [](CraftedIndex& x) { x.part(3).layer = 1; x.part(4).layer = 0; }},
        Case{"identity_of_a_layer", [](CraftedIndex& x) { x.part(0).layer = 1; }},
        Case{"identity_twice", [](CraftedIndex& x) { x.part(2).type = Type::identity; }},
        Case{"metadata_twice", [](CraftedIndex& x) { x.part(2).type = Type::metadata; }},
        Case{"no_identity", [](CraftedIndex& x) { x.part(0).type = Type::extents; }},
        Case{"metadata_empty", [](CraftedIndex& x) { x.part(1).size = 0; }},
        Case{"spans_for_windows", [](CraftedIndex& x) { x.part(8).type = Type::spans; x.part(8).layer = 3; }}),
    [](const auto& which) { return std::string(which.param.what); });

INSTANTIATE_TEST_SUITE_P(
    Extents, Crafted,
    ::testing::Values(
        Case{"in_metadata", [](CraftedIndex& x) { x.extent(0).device_offset = 4095; }},
        Case{"wraps", [](CraftedIndex& x) { x.extent(3).device_offset = UINT64_MAX - 10; }},
        Case{"beyond_off_t", [](CraftedIndex& x) { x.extent(3).device_offset = INT64_MAX - 10; }},
        Case{"overlap", [](CraftedIndex& x) { x.extent(1).device_offset = x.extent(0).device_offset + 1; }},
        Case{"not_sorted", [](CraftedIndex& x) { std::swap(x.extent(0), x.extent(1)); }},
        Case{"empty", [](CraftedIndex& x) { x.extent(0).length_and_layer &= ~format::kMaxLength; }},
        Case{"beyond_stream", [](CraftedIndex& x) { x.extent(0).length_and_layer |= format::kMaxLength; }},
        Case{"stream_wraps", [](CraftedIndex& x) { x.extent(0).stream_offset = UINT64_MAX; }},
        Case{"no_such_layer", [](CraftedIndex& x) { x.extent(0).length_and_layer |= uint64_t{3} << 48; }},
        Case{"not_whole", [](CraftedIndex& x) { x.part_of(Type::extents).size -= 1; }}),
    [](const auto& which) { return std::string(which.param.what); });

INSTANTIATE_TEST_SUITE_P(
    Spans, Crafted,
    ::testing::Values(Case{"not_at_start", [](CraftedIndex& x) { x.span(0).out = 1; }},
                      Case{"out_not_rising", [](CraftedIndex& x) { x.span(2).out = x.span(1).out; }},
                      Case{"in_not_rising", [](CraftedIndex& x) { x.span(2).in = x.span(1).in; }},
                      Case{"in_beyond_blob", [](CraftedIndex& x) { x.span(2).in = UINT64_MAX; }},
                      Case{"out_beyond_stream", [](CraftedIndex& x) { x.span(2).out = UINT64_MAX; }},
                      Case{"bits", [](CraftedIndex& x) { x.span(0).bits = 8; }},
                      Case{"bits_before_blob",
                           [](CraftedIndex& x) {
                             x.span(0).bits = 1;
                             x.span(0).in = 0;
                           }},
                      Case{"bits_of_plain", [](CraftedIndex& x) { x.span(1, 1).bits = 1; }},
                      Case{"bits_of_zstd",
                           [](CraftedIndex& x) {
                             x.span(0, 2).in = 1;
                             x.span(0, 2).bits = 1;
                           }},
                      Case{"in_is_not_out_of_plain", [](CraftedIndex& x) { x.span(1, 1).in += 1; }},
                      Case{"window_large", [](CraftedIndex& x) { x.span(1).window_size = UINT32_MAX; }},
                      Case{"window_outside", [](CraftedIndex& x) { x.span(1).window_size += 1; }},
                      Case{"windows_left_over",
                           [](CraftedIndex& x) {
                             format::Span& last = x.span(x.part_of(Type::spans).size / sizeof(format::Span) - 1);
                             last.window_size -= 1;
                           }},
                      Case{"checksum_of_plain", [](CraftedIndex& x) { x.span(1, 1).checksum = 1; }},
                      Case{"window_of_plain", [](CraftedIndex& x) { x.span(1, 1).window_size = 1; }},
                      Case{"none", [](CraftedIndex& x) { x.part_of(Type::spans).size = 0; }},
                      Case{"not_whole", [](CraftedIndex& x) { x.part_of(Type::spans).size -= 1; }}),
    [](const auto& which) { return std::string(which.param.what); });

Case with_identity(const char* what, const std::string& from, const std::string& to) {
  return {what, [=](CraftedIndex& x) {
            std::string text = x.identity();
            const size_t at = text.find(from);
            if (at != std::string::npos) x.set_identity(text.replace(at, from.size(), to));
          }};
}

INSTANTIATE_TEST_SUITE_P(
    Identity, Crafted,
    ::testing::Values(
        Case{"no_json", [](CraftedIndex& x) { x.set_identity("{"); }},
        Case{"empty", [](CraftedIndex& x) { x.part_of(Type::identity).size = 0; }},
        Case{"array", [](CraftedIndex& x) { x.set_identity("[]"); }},
        Case{"nothing_in_it", [](CraftedIndex& x) { x.set_identity("{}"); }},
        Case{"no_layers",
             [](CraftedIndex& x) { x.set_identity(R"({"tool":"","span_size":1,"layers":[]})"); }},
        Case{"number_for_layer",
             [](CraftedIndex& x) { x.set_identity(R"({"tool":"","span_size":1,"layers":[1,2,3]})"); }},
        Case{"deep", [](CraftedIndex& x) { x.set_identity(std::string(4000, '[')); }},
        with_identity("digest", "sha256:", "sha512:"), with_identity("format", "tar+gzip", "tar+lzma"),
        with_identity("other_format", "tar+gzip", "tar"),
        with_identity("negative_span", "\"span_size\":", "\"span_size\":-"),
        with_identity("negative_size", "\"size\":", "\"size\":-"),
        with_identity("fraction", "\"stream_size\":", "\"stream_size\":1.5e99,\"x\":"),
        with_identity("huge", "\"stream_size\":", "\"stream_size\":18446744073709551615,\"x\":"),
        with_identity("text_for_number", "\"stream_size\":", "\"stream_size\":\"1\",\"x\":"),
        with_identity("layer_too_large", "{", "{\"layer\":4294967296,"),
        with_identity("manifest", "{", "{\"manifest\":\"\","),
        with_identity("manifest_number", "{", "{\"manifest\":1,"),
        with_identity("platform", "\"platform\":", "\"platform\":[],\"x\":"),
        with_identity("invalid_utf8", "linux", "\xff")),
    [](const auto& which) { return std::string(which.param.what); });

TEST(ImageIndex, RefusesAPlainLayerOfTwoSizes) {
  CraftedIndex crafted(build_index(image_input({member_of("f", std::string(1000, 'x'))})));
  std::string text = crafted.identity();
  crafted.set_identity(text.replace(text.find("\"size\":1536"), 11, "\"size\":1535"));
  crafted.repair();
  EXPECT_THAT(open_failure(crafted.bytes()), HasSubstr("a plain layer has two sizes"));
}

TEST(ImageIndex, DoesNotAllocateForATableThatNoIndexHas) {
  CraftedIndex crafted(good());
  const UniqueFd file = fd_of(crafted.bytes());
  constexpr uint64_t kHuge = uint64_t{1} << 50;
  format::Part& part = crafted.part(8);
  part.type = format::PartType::extents;
  part.layer = 0;
  crafted.part(2).type = format::PartType::windows;
  crafted.part(2).layer = 0;
  crafted.part(6).layer = 1;
  crafted.part(7).layer = 2;
  part.size = kHuge;
  crafted.header().file_size = part.offset + kHuge;
  crafted.repair();
  pwrite_all(file.get(), 0, as_bytes(crafted.bytes()), "test");
  ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(part.offset + kHuge)), 0);
  EXPECT_THAT(failure_of([&] { ImageIndex(UniqueFd(::dup(file.get())), "x"); }),
              HasSubstr("extents are of no right size"));
}

}  // namespace
}  // namespace erofs_oci
