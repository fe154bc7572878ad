// SPDX-License-Identifier: Apache-2.0
#include "index/stored_digests.h"

#include <gtest/gtest.h>

#include "index/building.h"
#include "index/stream_cutter.h"

namespace erofs_oci {
namespace {

using namespace testing;

/// What a gzip blob that comes in pieces is cut into, and the digests of that; each window is the number of its span.
class Cutting : CutSink {
 public:
  struct Span {
    uint64_t begin;
    uint64_t out;
    std::optional<Digest> digest;
  };

  Cutting(const std::string& blob, size_t piece) {
    const auto cutter = make_cutter(StreamFormat::gzip, kTestSpan, *this);
    for (size_t at = 0; at < blob.size(); at += piece) {
      const std::string copy = blob.substr(at, piece);  // as a stream has it: gone once it was fed
      digests_.show(as_bytes(copy));
      cutter->feed(as_bytes(copy));
      digests_.done();
    }
    cutter->finish();
    const auto last = digests_.finish();
    if (!spans_.empty() && spans_.back().out == out_) {
      spans_.pop_back();
      ends_.pop_back();
    }
    if (!spans_.empty()) spans_.back().digest = last;
    ends_.push_back(blob.size());
  }

  const std::vector<Span>& spans() const { return spans_; }
  /// Of the blob itself.
  Digest expected(const std::string& blob, size_t span) const {
    return sha256(as_bytes(blob.substr(spans_[span].begin, ends_[span] - spans_[span].begin) + window(span)));
  }

 private:
  static std::string window(size_t span) { return "window " + std::to_string(span); }

  void output(Bytes bytes) override {
    digests_.confirm();
    out_ += bytes.size();
  }
  void begin_span(uint64_t in, uint64_t out, uint8_t bits) override {
    const uint64_t begin = in - (bits != 0 ? 1 : 0);
    const auto digest = digests_.begin_span(begin, in);
    EXPECT_EQ(digest.has_value(), !spans_.empty());
    if (!spans_.empty()) {
      spans_.back().digest = digest;
      ends_.push_back(in);
    }
    spans_.push_back({begin, out, std::nullopt});
  }
  void span_start(SpanStart) override {
    const std::string text = window(spans_.size() - 1);
    digests_.set_window({as_bytes(text).begin(), as_bytes(text).end()});
  }

  StoredDigests digests_;
  std::vector<Span> spans_;
  std::vector<uint64_t> ends_;
  uint64_t out_ = 0;
};

class StoredDigestsOf : public ::testing::TestWithParam<Form> {};

INSTANTIATE_TEST_SUITE_P(Form, StoredDigestsOf, ::testing::ValuesIn([] {
                           std::vector<Form> gzip;
                           std::ranges::copy_if(forms(), std::back_inserter(gzip),
                                                [](const Form& form) { return form.format == StreamFormat::gzip; });
                           return gzip;
                         }()),
                         [](const auto& form) { return std::string(form.param.name); });

/// Spans begin at ends of pieces, and in pieces before the one in which they are found.
TEST_P(StoredDigestsOf, AreThoseOfTheBlobWhateverItsPieces) {
  const std::string blob = GetParam().compress(varied_archive());
  for (const size_t piece : {1, 2, 3, 7, 8, 9, 15, 16, 17, 100, 4096, 1 << 20}) {
    const Cutting cutting(blob, piece);
    ASSERT_GT(cutting.spans().size(), 5u);
    for (size_t i = 0; i < cutting.spans().size(); ++i)
      EXPECT_EQ(cutting.spans()[i].digest, cutting.expected(blob, i)) << piece << ", " << i;
  }
}

TEST(StoredDigests, NothingHasNone) {
  StoredDigests digests;
  EXPECT_EQ(digests.finish(), std::nullopt);
}

}  // namespace
}  // namespace erofs_oci
