// SPDX-License-Identifier: Apache-2.0
#include "registry/range_fill.h"

#include <gtest/gtest.h>

#include <span>

#include "base/error.h"
#include "registry/content_range.h"

namespace erofs_oci::registry {
namespace {

constexpr std::string_view kObject = "0123456789abcdefghij";

/// A fill of [5, 15) of kObject.
class RangeFillTest : public testing::Test {
 protected:
  void put(uint64_t offset, uint64_t length) { fill_.put(offset, as_bytes(kObject.substr(offset, length))); }
  void begin(RangeSink& sink, int status, const char* content_range, const char* length = nullptr) {
    http::ResponseHead head;
    head.status = status;
    if (content_range != nullptr) head.headers.add("Content-Range", content_range);
    if (length != nullptr) head.headers.add("Content-Length", length);
    sink.begin(head);
  }
  RangeSink sink(ByteRange asked = {5, 10}) { return {fill_, asked, kObject.size(), counters_}; }

  std::string out_ = std::string(10, '.');
  RangeFill fill_{{5, 10}, std::as_writable_bytes(std::span(out_))};
  TrafficCounters counters_;
};

TEST_F(RangeFillTest, TakesPiecesInAnyOrderAndKnowsWhatIsMissing) {
  put(12, 3);
  EXPECT_EQ(fill_.next(), (ByteRange{5, 7}));
  put(7, 2);
  EXPECT_EQ(fill_.next(), (ByteRange{5, 2}));
  EXPECT_EQ(fill_.missing_bytes(), 5u);
  put(5, 3);
  EXPECT_EQ(fill_.next(), (ByteRange{9, 3}));
  put(8, 5);
  EXPECT_TRUE(fill_.complete());
  EXPECT_EQ(out_, "56789abcde");
}

TEST_F(RangeFillTest, LeavesAloneWhatLiesOutside) {
  put(0, 5);
  put(15, 5);
  EXPECT_EQ(fill_.missing_bytes(), 10u);
  EXPECT_EQ(out_, "..........");
  put(0, 20);
  EXPECT_TRUE(fill_.complete());
  EXPECT_EQ(out_, "56789abcde");
}

TEST(NeighboursFill, TellsEachReadAsSoonAsItsBytesAreThere) {
  std::array<std::string, 3> out{std::string(4, '.'), std::string(3, '.'), std::string(5, '.')};
  // The second begins with the last byte of the first, as spans of gzip do.
  const std::array<ByteRange, 3> ranges{{{2, 4}, {5, 3}, {8, 5}}};
  std::string told;
  std::vector<RangeRead> reads;
  for (size_t i = 0; i < out.size(); ++i) {
    reads.push_back(
        {ranges[i], std::as_writable_bytes(std::span(out[i])), [&told, i](const std::optional<Error>& error) {
           told += static_cast<char>('0' + i);
           if (error) told += '!';
         }});
  }
  RangeFill fill(std::move(reads));
  EXPECT_EQ(fill.range(), (ByteRange{2, 11}));
  fill.put(2, as_bytes(kObject.substr(2, 3)));
  EXPECT_EQ(told, "");
  fill.put(5, as_bytes(kObject.substr(5, 4)));
  EXPECT_EQ(told, "01");
  EXPECT_EQ(out[0] + out[1], "2345567");
  out[0] = "gone";
  fill.put(0, as_bytes(kObject.substr(0, 10)));
  EXPECT_EQ(out[0], "gone");
  EXPECT_EQ(fill.next(), (ByteRange{10, 3}));
  fill.fail(Error(ErrorKind::unavailable, "away"));
  EXPECT_EQ(told, "012!");
}

TEST_F(RangeFillTest, ASinkPutsAnswersWhereTheyBelong) {
  RangeSink early = sink();
  begin(early, 206, "bytes 3-8/20");
  EXPECT_TRUE(early.write(as_bytes(kObject.substr(3, 6))));
  EXPECT_EQ(fill_.next(), (ByteRange{9, 6}));
  RangeSink late = sink({9, 6});
  begin(late, 206, "bytes 12-14/*");
  EXPECT_TRUE(late.write(as_bytes(kObject.substr(12, 3))));
  EXPECT_EQ(fill_.next(), (ByteRange{9, 3}));
  RangeSink as_200 = sink({9, 3});
  begin(as_200, 200, "bytes 9-11/20");
  EXPECT_TRUE(as_200.write(as_bytes(kObject.substr(9, 3))));
  EXPECT_EQ(out_, "56789abcde");
  EXPECT_EQ(counters_.bytes_received, 12u);
}

TEST_F(RangeFillTest, ASinkTakesItsPartOfAWholeBodyAndEndsIt) {
  RangeSink whole = sink();
  begin(whole, 200, nullptr, "20");
  EXPECT_TRUE(whole.whole_came());
  EXPECT_TRUE(whole.write(as_bytes(kObject.substr(0, 10))));
  EXPECT_FALSE(whole.write(as_bytes(kObject.substr(10, 7))));
  EXPECT_EQ(out_, "56789abcde");
}

TEST_F(RangeFillTest, ASinkEndsABodyThatIsLongerThanItSays) {
  RangeSink longer = sink();
  begin(longer, 206, "bytes 5-14/20");
  EXPECT_TRUE(longer.write(as_bytes(kObject.substr(5, 10))));
  EXPECT_FALSE(longer.write(as_bytes("beyond")));
  EXPECT_EQ(out_, "56789abcde");
}

TEST_F(RangeFillTest, ASinkDoesNotSkipWithoutBound) {
  const uint64_t size = 100 * kMiB;
  RangeSink deep(fill_, {50 * kMiB, 10}, size, counters_);
  begin(deep, 200, nullptr, std::to_string(size).c_str());
  EXPECT_FALSE(deep.write(as_bytes(kObject)));
  EXPECT_TRUE(deep.must_skip_too_much());
}

TEST_F(RangeFillTest, ASinkRefusesOtherObjects) {
  struct Case {
    int status;
    const char* content_range;
    const char* length;
  };
  for (const Case& c :
       {Case{206, "bytes 5-14/21", nullptr}, Case{200, "bytes 5-14/19", nullptr},
        Case{206, "bytes 0-4/20", nullptr}, Case{206, "bytes 15-19/20", nullptr}, Case{206, nullptr, nullptr},
        Case{206, "nonsense", nullptr}, Case{200, nullptr, "21"}, Case{204, nullptr, nullptr}}) {
    RangeSink refusing = sink();
    try {
      begin(refusing, c.status, c.content_range, c.length);
      ADD_FAILURE() << "taken: " << (c.content_range != nullptr ? c.content_range : "none");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    }
  }
}

TEST(ContentRange, Parses) {
  EXPECT_EQ(parse_content_range("bytes 0-0/1"), (ContentRange{{0, 1}, 1}));
  EXPECT_EQ(parse_content_range("bytes 10-19/*"), (ContentRange{{10, 10}, std::nullopt}));
  EXPECT_EQ(parse_content_range("bytes 4096-8191/10000"), (ContentRange{{4096, 4096}, 10000}));
  for (const char* text : {"", "bytes", "bytes 0-0", "bytes 1-0/5", "bytes */5", "items 0-1/5", "bytes 0-5/5",
                           "bytes a-1/5", "bytes -1/5", "bytes 0-18446744073709551615/*",
                           "bytes 0-9223372036854775808/*", "bytes 0-1/", "bytes 0-1/x", "bytes 0/1-5"}) {
    EXPECT_FALSE(parse_content_range(text)) << text;
  }
}

}  // namespace
}  // namespace erofs_oci::registry
