// SPDX-License-Identifier: Apache-2.0
#include "source/zinfo_spans.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "gzip/span_inflater.h"

namespace erofs_oci {
namespace {

/// One a thread: its tables are too large to set up for every span.
SpanInflater& start_inflater(const Zinfo& zinfo, size_t span, Bytes window, Bytes stored) {
  thread_local SpanInflater inflater;
  inflater.start(zinfo.checkpoint(span), window, stored);
  return inflater;
}

SpanInflater& start_inflater(const Zinfo& zinfo, size_t span, Bytes stored) {
  std::array<std::byte, kWindowSize> window;
  zinfo.read_window(span, window);
  return start_inflater(zinfo, span, window, stored);
}

/// What inflating says knows nothing of the zinfo, which is the likeliest reason.
Error not_inflated(const Zinfo& zinfo, size_t span, const Error& error) {
  return make_error(
      error.kind(),
      "{}: span {} of the layer cannot be inflated by it ({}): it is of another layer, or one of the two "
      "is damaged; make the zinfo again",
      zinfo.name(), span, error.what());
}

}  // namespace

ZinfoSpans::ZinfoSpans(Zinfo zinfo, uint64_t stream_size)
    : zinfo_(std::move(zinfo)), stream_size_(stream_size), span_count_(zinfo_.span_count()) {
  // Bytes behind the archive's end (its padding) may have checkpoints too; nobody reads them.
  while (span_count_ > 1 && zinfo_.checkpoint(span_count_ - 1).out >= stream_size_) --span_count_;
  for (size_t span = 0; span < span_count_; ++span) {
    const uint64_t memory = output(span).length + stored(span).length;
    if (memory > kMaxSpanMemory) {
      throw make_error(ErrorKind::unsupported,
                       "{}: reading the span at byte {} takes {} of memory, more than {}; make the zinfo again with a "
                       "smaller span",
                       zinfo_.name(), output(span).offset, human_size(memory), human_size(kMaxSpanMemory));
    }
  }
}

size_t ZinfoSpans::find(uint64_t offset) const {
  size_t low = 0;
  size_t high = span_count_;
  while (high - low > 1) {
    const size_t middle = (low + high) / 2;
    (zinfo_.checkpoint(middle).out <= offset ? low : high) = middle;
  }
  return low;
}

ByteRange ZinfoSpans::output(size_t span) const {
  const uint64_t end = span + 1 < span_count_ ? zinfo_.checkpoint(span + 1).out : stream_size_;
  return ByteRange::from_to(zinfo_.checkpoint(span).out, end);
}

void ZinfoSpans::decode(size_t span, Bytes stored, MutableBytes out) const {
  size_t length = 0;
  try {
    length = start_inflater(zinfo_, span, stored).read(out);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) throw;
    throw not_inflated(zinfo_, span, error);
  }
  if (length == out.size()) {
    check_start(span, stored, out);
    return windows_.check_end(zinfo_, span, out);
  }
  const size_t missing = out.size() - length;
  if (span + 1 < span_count_ || missing > kPadding) {
    throw make_error(ErrorKind::corrupt, "span {} inflates to {} bytes where {} says {}", span, length,
                     zinfo_.name(), out.size());
  }
  std::ranges::fill(out.last(missing), std::byte{0});
}

/// Nothing behind a window's length of output can refer to the window any more (RFC 1951, 3.2.5).
void ZinfoSpans::check_start(size_t span, Bytes stored, Bytes out) const {
  const auto window = windows_.true_window(span);
  if (!window) return;
  std::vector<std::byte> start(std::min(out.size(), kWindowSize));
  start_inflater(zinfo_, span, *window, stored).read(start);
  if (!std::ranges::equal(start, out.first(start.size()))) windows_.refuse(zinfo_, span);
  windows_.drop_true_window(span);
}

uint64_t measure_stream(const Zinfo& zinfo, Bytes stored) {
  const size_t last = zinfo.span_count() - 1;
  SpanInflater& inflater = start_inflater(zinfo, last, stored);
  std::vector<std::byte> scratch(64 * kKiB);
  uint64_t size = zinfo.checkpoint(last).out;
  while (const size_t count = inflater.read(scratch)) {
    size += count;
    if (size - zinfo.checkpoint(last).out > ZinfoSpans::kMaxSpanMemory) break;  // refused by ZinfoSpans in words
  }
  return size;
}

}  // namespace erofs_oci
