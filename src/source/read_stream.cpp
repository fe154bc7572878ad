// SPDX-License-Identifier: Apache-2.0
#include "source/read_stream.h"

#include <future>

namespace erofs_oci {
namespace {

SpanRef load_now(SpanLoader& loader, const std::shared_ptr<const Stream>& stream, size_t span) {
  auto promise = std::make_shared<std::promise<SpanResult>>();
  loader.load(stream, span, Priority::foreground,
              [promise](SpanResult result) { promise->set_value(std::move(result)); });
  SpanResult result = promise->get_future().get();
  if (result.error) throw *result.error;
  return std::move(result.span);
}

}  // namespace

std::vector<std::byte> read_stream(SpanLoader& loader, const std::shared_ptr<const Stream>& stream, ByteRange range) {
  std::vector<std::byte> out;
  while (out.size() < range.length) {
    const uint64_t at = range.offset + out.size();
    const size_t number = stream->spans->find(at);
    const SpanRef span = load_now(loader, stream, number);
    const ByteRange place = stream->spans->output(number);
    const ByteRange part = place.intersect({at, range.length - out.size()});
    const Bytes bytes = span->bytes().subspan(part.offset - place.offset, part.length);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

std::vector<std::byte> read_blob(RangeReader& blob, ByteRange range) {
  std::vector<std::byte> out(range.length);
  auto promise = std::make_shared<std::promise<std::optional<Error>>>();
  blob.read(range, out, Priority::foreground,
            [promise](std::optional<Error> error) { promise->set_value(std::move(error)); });
  if (const auto error = promise->get_future().get()) throw *error;
  return out;
}

}  // namespace erofs_oci
