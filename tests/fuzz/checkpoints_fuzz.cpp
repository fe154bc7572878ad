// SPDX-License-Identifier: Apache-2.0
// CheckpointInflater on any bytes, judged by zlib:
//   u8 1: the rest is a gzip file as it is, else members: u8 size of pieces; u8 span size; then members: u8
//   kind, u16 length, bytes. Kind 0: a deflate stream, to which header and trailer are added; else text that
//   zlib compresses with the level kind % 10, the strategy kind / 10 % 5, repeated where kind >= 50
#include <zlib.h>

#include <optional>
#include <vector>

#include "base/error.h"
#include "gzip/checkpoint_inflater.h"
#include "gzip/span_inflater.h"
#include "harness.h"

namespace erofs_oci {
namespace {

using fuzz::require;

constexpr size_t kMaxOutput = 4 * kMiB;

/// What zlib makes of a deflate stream that is whole and fills `deflated`; nullopt for anything else.
std::optional<std::string> inflate_raw(std::string_view deflated) {
  z_stream stream{};
  require(inflateInit2(&stream, -15) == Z_OK, "inflateInit2");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(deflated.data()));
  stream.avail_in = static_cast<uInt>(deflated.size());
  std::string out(kMaxOutput, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = inflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  const bool whole = status == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  if (whole) return out;
  return std::nullopt;
}

std::string deflate_raw(const std::string& text, int level, int strategy) {
  z_stream stream{};
  require(deflateInit2(&stream, level, Z_DEFLATED, -15, 1 + level % 9, strategy) == Z_OK, "deflateInit2");
  std::string out(deflateBound(&stream, text.size()) + 1000, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  const int status = deflate(&stream, Z_FINISH);
  require(status == Z_STREAM_END, "deflate");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct Blob {
  std::string stored;
  std::string expected;
  bool is_right = true;  // zlib takes all of it
};

void add_member(Blob& blob, fuzz::Input& input) {
  const auto kind = input.number<uint8_t>();
  std::string_view bytes = input.text(input.number<uint16_t>());
  std::string text;
  std::string deflated;
  if (kind == 0) {
    deflated = bytes;
    if (auto inflated = inflate_raw(bytes)) {
      text = std::move(*inflated);
    } else {
      blob.is_right = false;
    }
  } else {
    text = bytes;
    for (int i = 50; i <= kind && text.size() < 500'000; i += 10) text += text;
    deflated = deflate_raw(text, kind % 10, kind / 10 % 5);
  }
  uint8_t trailer[8];
  store_le<uint32_t>(trailer, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(text.data()),
                                                          static_cast<uInt>(text.size()))));
  store_le<uint32_t>(trailer + 4, static_cast<uint32_t>(text.size()));
  blob.stored += std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10) + deflated +
                 std::string(reinterpret_cast<const char*>(trailer), sizeof trailer);
  blob.expected += text;
}

class Recorder : public CheckpointInflater::Sink {
 public:
  void output(Bytes bytes) override {
    out += as_text(bytes);
    if (out.size() > 4 * kMaxOutput) throw Error(ErrorKind::no_space, "enough");
  }
  void begin_span(const Checkpoint& checkpoint) override {
    require(starts.size() == begun.size(), "a span's start comes before the next begins");
    require(checkpoint.out == out.size(), "a span begins where the output is");
    begun.push_back(checkpoint);
  }
  void span_start(SpanStart start) override {
    starts.push_back(std::move(start));
    require(starts.size() == begun.size(), "a span's start comes once");
  }

  std::string out;
  std::vector<Checkpoint> begun;
  std::vector<SpanStart> starts;
};

struct Result {
  Recorder recorder;
  bool error = false;
};

Result run(const std::string& stored, uint64_t span_size, size_t piece) {
  Result result;
  CheckpointInflater inflater(span_size, result.recorder);
  try {
    for (size_t at = 0; at < stored.size(); at += piece) {
      const std::string bytes = stored.substr(at, piece);  // a copy, so that a byte read beyond is noticed
      inflater.feed(as_bytes(bytes));
    }
    inflater.finish();
  } catch (const Error&) {
    result.error = true;
  }
  return result;
}

/// Each span by itself, also with a window of which only what it refers to is left.
void check_spans(Recorder& recorder, const std::string& stored) {
  static SpanInflater inflater;
  for (size_t i = 0; i < recorder.starts.size(); ++i) {
    const bool last = i + 1 == recorder.starts.size();
    SpanStart& start = recorder.starts[i];
    const uint64_t begin = start.checkpoint.in - (start.checkpoint.bits != 0);
    const uint64_t end = last ? stored.size() : recorder.begun[i + 1].in;
    const uint64_t out_end = last ? recorder.out.size() : recorder.begun[i + 1].out;
    require(begin <= end && end <= stored.size(), "spans lie in the file");
    const std::string piece = stored.substr(begin, end - begin);
    for (const bool zeroed : {false, true}) {
      if (zeroed) zero_unreferenced(start);
      std::string out(out_end - start.checkpoint.out, '\0');
      inflater.start(start.checkpoint, start.window, as_bytes(piece));
      require(inflater.read(std::as_writable_bytes(std::span(out))) == out.size(),
              "a span is as long as it was");
      require(out == std::string_view(recorder.out).substr(start.checkpoint.out, out.size()),
              "a span is what it was");
    }
  }
}

}  // namespace
}  // namespace erofs_oci

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace erofs_oci;
  fuzz::Input input(bytes, size);
  const bool raw = input.number<uint8_t>() == 1;
  const size_t selector = input.number<uint8_t>();
  const uint64_t span_size = kWindowSize + uint64_t{input.number<uint8_t>()} * 1000;
  Blob blob;
  if (raw) {
    blob.stored = input.rest();
  } else {
    for (std::string_view left = input.rest(); !left.empty();) {
      fuzz::Input members(reinterpret_cast<const uint8_t*>(left.data()), left.size());
      add_member(blob, members);
      left = members.rest();
      if (blob.expected.size() > kMaxOutput) break;
    }
  }
  Result whole = run(blob.stored, span_size, SIZE_MAX / 2);
  const Result pieces = run(blob.stored, span_size, selector < 128 ? selector + 1 : (selector - 127) * 37);
  require(whole.error == pieces.error, "pieces make no difference");
  if (!whole.error)
    require(whole.recorder.out == pieces.recorder.out, "pieces make no difference to the output");
  if (!raw && blob.is_right && !blob.stored.empty()) {
    require(!whole.error, "what zlib takes is taken");
    require(whole.recorder.out == blob.expected, "the output is zlib's");
  }
  if (!whole.error) check_spans(whole.recorder, blob.stored);
  return 0;
}
