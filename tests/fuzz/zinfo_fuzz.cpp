// SPDX-License-Identifier: Apache-2.0
// Zinfo and SpanInflater on any table and any blob:
//   u8 number of checkpoints; u8 1: version 1, 2: `have` as follows, 4: a byte more, 8: a byte less; u32
//   have; u64 span size; 18 bytes a checkpoint: u64 in, u64 out, u8 bits, u8 the window's seed; then the blob
#include <memory>
#include <vector>

#include "base/error.h"
#include "gzip/span_inflater.h"
#include "gzip/zinfo.h"
#include "harness.h"

namespace erofs_oci {
namespace {

using fuzz::require;

constexpr uint64_t kMaxOutput = 256 * kKiB;

struct Case {
  std::string zinfo;
  std::string blob;
};

std::string window_of(uint8_t seed) {
  std::string window(kWindowSize, '\0');
  for (size_t i = 0; seed != 0 && i < window.size(); ++i) window[i] = static_cast<char>(i * seed >> 3);
  return window;
}

template <typename T>
void append(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

Case read_case(fuzz::Input input) {
  Case result;
  const uint32_t count = input.number<uint8_t>() % 16;
  const auto flags = input.number<uint8_t>();
  const auto have = input.number<uint32_t>();
  append(result.zinfo, flags & 2 ? have : count);
  append(result.zinfo, input.number<uint64_t>());
  for (uint32_t i = 0; i < count; ++i) {
    std::string entry(input.text(17));
    entry.resize(17);
    const auto seed = input.number<uint8_t>();
    if (i > 0 || !(flags & 1)) result.zinfo += entry + window_of(seed);
  }
  if (flags & 4) result.zinfo += 'x';
  if (flags & 8) result.zinfo.pop_back();
  result.blob = input.rest();
  return result;
}

/// What a span inflates to, in pieces; `error` is set where it does not.
struct Output {
  std::vector<std::byte> bytes;
  bool error = false;
};

Output inflate(const Zinfo& zinfo, size_t span, const std::string& blob, size_t size, size_t piece) {
  std::vector<std::byte> window(kWindowSize);
  zinfo.read_window(span, window);
  const ByteRange range = zinfo.compressed_range(span);
  require(range.fits_in(blob.size()), "a span lies in the blob");
  // A copy of its own, so that a byte read beyond it is noticed.
  const std::vector<std::byte> stored(as_bytes(blob).begin() + static_cast<ptrdiff_t>(range.offset),
                                      as_bytes(blob).begin() + static_cast<ptrdiff_t>(range.end()));
  Output output;
  output.bytes.resize(size);
  static SpanInflater inflater;
  size_t done = 0;
  try {
    inflater.start(zinfo.checkpoint(span), window, stored);
    for (size_t count = 1; count > 0 && done < size; done += count)
      count = inflater.read(MutableBytes(output.bytes).subspan(done, std::min(piece, size - done)));
  } catch (const Error&) {
    output.error = true;
  }
  output.bytes.resize(done);
  return output;
}

void check(const Zinfo& zinfo, const std::string& blob) {
  for (size_t span = 0; span < zinfo.span_count(); ++span) {
    const bool last = span + 1 == zinfo.span_count();
    const uint64_t length = last ? kMaxOutput : zinfo.checkpoint(span + 1).out - zinfo.checkpoint(span).out;
    const auto size = static_cast<size_t>(std::min(length, kMaxOutput));
    const Output whole = inflate(zinfo, span, blob, size, size);
    const Output pieces = inflate(zinfo, span, blob, size, 1000);
    const size_t common = std::min(whole.bytes.size(), pieces.bytes.size());
    require(std::equal(whole.bytes.begin(), whole.bytes.begin() + static_cast<ptrdiff_t>(common),
                       pieces.bytes.begin()),
            "pieces make no difference");
    require(whole.error || pieces.error || whole.bytes.size() == pieces.bytes.size(), "nor to the length");
  }
}

}  // namespace
}  // namespace erofs_oci

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace erofs_oci;
  const Case input = read_case({bytes, size});
  std::unique_ptr<const Zinfo> zinfo;
  try {
    zinfo = std::make_unique<Zinfo>(fuzz::file_of(input.zinfo), "fuzz", input.blob.size());
  } catch (const Error&) {
    return 0;
  }
  check(*zinfo, input.blob);
  return 0;
}
