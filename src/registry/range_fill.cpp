// SPDX-License-Identifier: Apache-2.0
#include "registry/range_fill.h"

#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "registry/content_range.h"

namespace erofs_oci::registry {

namespace {

std::vector<RangeRead> only(ByteRange range, MutableBytes out) {
  std::vector<RangeRead> reads;
  reads.push_back({range, out, [](const std::optional<Error>&) {}});
  return reads;
}

}  // namespace

RangeFill::RangeFill(ByteRange range, MutableBytes out) : RangeFill(only(range, out)) {}

RangeFill::RangeFill(std::vector<RangeRead> reads)
    : reads_(std::move(reads)),
      range_(ByteRange::from_to(reads_.front().range.offset, reads_.back().range.end())),
      missing_{range_} {}

void RangeFill::put(uint64_t offset, Bytes piece) {
  const ByteRange came = range_.intersect({offset, piece.size()});
  if (came.empty()) return;
  for (size_t i = told_; i < reads_.size() && reads_[i].range.offset < came.end(); ++i) {
    const ByteRange part = reads_[i].range.intersect(came);
    if (part.empty()) continue;
    std::memcpy(reads_[i].out.data() + (part.offset - reads_[i].range.offset),
                piece.data() + (part.offset - offset), part.length);
  }
  remove_from_missing(came);
  tell_complete();
}

void RangeFill::remove_from_missing(ByteRange came) {
  std::vector<ByteRange> missing;
  for (const ByteRange& part : missing_) {
    if (part.offset < came.offset) missing.push_back(part.intersect({0, came.offset}));
    if (part.end() > came.end()) {
      missing.push_back(ByteRange::from_to(std::max(part.offset, came.end()), part.end()));
    }
  }
  missing_ = std::move(missing);
}

void RangeFill::tell_complete() {
  const uint64_t complete_to = missing_.empty() ? range_.end() : missing_.front().offset;
  while (told_ < reads_.size() && reads_[told_].range.end() <= complete_to)
    reads_[told_++].done(std::nullopt);
}

void RangeFill::fail(const Error& error) {
  while (told_ < reads_.size()) reads_[told_++].done(error);
}

uint64_t RangeFill::missing_bytes() const {
  uint64_t sum = 0;
  for (const ByteRange& part : missing_) sum += part.length;
  return sum;
}

void RangeSink::begin(const http::ResponseHead& head) {
  const auto field = head.headers.find("Content-Range");
  if (!field && head.status == 200) return begin_whole(head);
  const auto answered = parse_content_range(field.value_or(""));
  if (!answered) {
    throw make_error(ErrorKind::corrupt, "answered {} with Content-Range \"{}\"", head.status,
                     printable(field.value_or("")));
  }
  if (answered->total && *answered->total != size_bytes_) {
    throw make_error(ErrorKind::corrupt, "the registry's blob has {} bytes, its descriptor says {}",
                     *answered->total, size_bytes_);
  }
  if (answered->range.intersect(asked_).empty()) {
    throw make_error(ErrorKind::corrupt, "bytes {} came where {} were asked for", to_string(answered->range),
                     to_string(asked_));
  }
  position_ = answered->range.offset;
  end_ = answered->range.end();
}

void RangeSink::begin_whole(const http::ResponseHead& head) {
  const auto length = head.headers.find_number("Content-Length");
  if (length && *length != size_bytes_) {
    throw make_error(ErrorKind::corrupt, "the registry's blob has {} bytes, its descriptor says {}", *length,
                     size_bytes_);
  }
  whole_came_ = true;
  position_ = 0;
  end_ = size_bytes_;
}

bool RangeSink::write(Bytes piece) {
  counters_.bytes_received += piece.size();
  const uint64_t room = end_ - position_;
  fill_.put(position_, piece.first(std::min<uint64_t>(piece.size(), room)));
  if (piece.size() > room || must_skip_too_much()) return false;
  position_ += piece.size();
  // Where the body ends with what is wanted, its end is left to the server, which keeps the connection in
  // use.
  return position_ < asked_.end() || end_ <= asked_.end();
}

}  // namespace erofs_oci::registry
