// SPDX-License-Identifier: Apache-2.0
#include "gzip/checkpoint_inflater.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "base/error.h"
#include "gzip/span_inflater.h"

namespace erofs_oci {
namespace {

constexpr size_t kFixedHeaderSize = 10;
constexpr size_t kTrailerSize = 8;           // CRC-32 and length (RFC 1952, 2.3.1)
constexpr size_t kMaxHeader = 128 * kKiB;    // a name or comment has no limit of its own
constexpr size_t kOutputSize = 256 * kKiB;   // fits a core's own cache beside ISA-L's state
constexpr size_t kMaxCapture = 1024 * kKiB;  // blocks without output could go on for ever

uint8_t* unsigned_data(Bytes bytes) {
  return const_cast<uint8_t*>(
      reinterpret_cast<const uint8_t*>(bytes.data()));  // ISA-L's inputs are not const
}

void append(std::vector<std::byte>& to, Bytes bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

}  // namespace

CheckpointInflater::CheckpointInflater(uint64_t span_size, Sink& sink)
    : span_size_(span_size),
      sink_(sink),
      state_(std::make_unique_for_overwrite<inflate_state>()),
      buffer_(kWindowSize + kOutputSize),
      buffer_end_(kWindowSize) {
  assert(span_size >= kWindowSize);
  isal_inflate_init(state_.get());
}

CheckpointInflater::~CheckpointInflater() = default;

void CheckpointInflater::feed(Bytes compressed) {
  while (!compressed.empty()) {
    const size_t count = std::min<size_t>(compressed.size(), std::numeric_limits<int32_t>::max());
    state_->next_in = unsigned_data(compressed);
    state_->avail_in = static_cast<uint32_t>(count);
    fed_ += count;
    while (step()) {
    }
    if (state_->avail_in != 0)
      throw make_error(ErrorKind::corrupt, "gzip data cannot be inflated before byte {}", fed_);
    compressed = compressed.subspan(count);
  }
}

void CheckpointInflater::finish() {
  const bool padding = std::ranges::all_of(pending_, [](std::byte byte) { return byte == std::byte{0}; });
  if (place_ != Place::header || !padding || members_ == 0) {
    throw make_error(ErrorKind::corrupt, "gzip data ends after {} bytes inside a member: it is cut short",
                     fed_);
  }
  end_capture();
}

/// Goes on as far as one kind of data lasts; false where more input is needed.
bool CheckpointInflater::step() {
  switch (place_) {
    case Place::header:
      return read_header();
    case Place::block_start:
      return start_block();
    case Place::block:
      return inflate_block();
    case Place::trailer:
      return read_trailer();
  }
  return false;
}

/// Whether a whole byte is at hand; ISA-L may have taken some into read_in.
bool CheckpointInflater::has_input() const {
  return state_->read_in_length >= 8 || state_->avail_in > 0;
}

std::byte CheckpointInflater::next_byte() {
  if (state_->read_in_length >= 8) {
    const auto byte = static_cast<std::byte>(state_->read_in & 0xff);
    state_->read_in >>= 8;
    state_->read_in_length -= 8;
    return byte;
  }
  --state_->avail_in;
  const auto byte = static_cast<std::byte>(*state_->next_in++);
  if (capture_) capture_some({&byte, 1}, {});  // a trailer, a header, or what a block begins with
  return byte;
}

/// Whether a header may end with the latest byte: spares looking through a long name for each byte of it.
bool CheckpointInflater::may_end_header() const {
  constexpr size_t kFlags = 3;  // RFC 1952, 2.3.1
  constexpr auto kHeaderCrc = std::byte{1 << 1};
  constexpr auto kNameOrComment = std::byte{1 << 3 | 1 << 4};
  if (pending_.size() <= kFixedHeaderSize || (pending_[kFlags] & kNameOrComment) == std::byte{0}) return true;
  const size_t behind_text = (pending_[kFlags] & kHeaderCrc) == std::byte{0} ? 1 : 3;
  return pending_[pending_.size() - behind_text] == std::byte{0};
}

/// A member's header, or the zero padding behind the last member.
bool CheckpointInflater::read_header() {
  size_t length = 0;
  while (length == 0) {
    if (!has_input()) return false;
    const std::byte byte = next_byte();
    if (members_ > 0 && pending_.empty() && byte == std::byte{0}) {
      padding_ = true;
      continue;
    }
    if (padding_) throw make_error(ErrorKind::corrupt, "gzip data goes on behind its padding of zeros");
    pending_.push_back(byte);
    if (may_end_header()) length = gzip_header_length(pending_);
    if (pending_.size() > kMaxHeader) throw Error(ErrorKind::corrupt, "a gzip member's header has no end");
  }
  pending_.clear();
  ++members_;
  member_crc_ = 0;
  member_out_ = 0;
  place_ = Place::block_start;
  return true;
}

/// Shows the next block to ISA-L as the final one.
bool CheckpointInflater::start_block() {
  if (state_->read_in_length == 0) {
    if (state_->avail_in == 0) return false;
    const auto byte = static_cast<uint64_t>(next_byte());
    state_->read_in = byte;
    state_->read_in_length = 8;
  }
  if (!any_span_ || out_ - span_begin_ >= span_size_) begin_span();
  final_block_ = (state_->read_in & 1) != 0;
  const auto [read_in, read_in_length] = std::pair(state_->read_in | 1, state_->read_in_length);
  isal_inflate_reset(state_.get());
  state_->read_in = read_in;
  state_->read_in_length = read_in_length;
  const Bytes dictionary = history().last(std::min<uint64_t>(member_out_, kWindowSize));
  if (!dictionary.empty()) {
    isal_inflate_set_dict(state_.get(), unsigned_data(dictionary), static_cast<uint32_t>(dictionary.size()));
  }
  place_ = Place::block;
  return true;
}

bool CheckpointInflater::inflate_block() {
  if (buffer_end_ == buffer_.size()) {
    std::ranges::copy(history(), buffer_.begin());
    buffer_end_ = kWindowSize;
  }
  state_->next_out = reinterpret_cast<uint8_t*>(buffer_.data() + buffer_end_);
  state_->avail_out = static_cast<uint32_t>(buffer_.size() - buffer_end_);
  const uint32_t before_in = state_->avail_in;
  const int status = isal_inflate(state_.get());
  if (status != ISAL_DECOMP_OK && status != ISAL_END_INPUT && status != ISAL_OUT_OVERFLOW) {
    throw make_error(ErrorKind::corrupt, "gzip data cannot be inflated before byte {} (ISA-L error {})", fed_,
                     status);
  }
  take_output(before_in);
  if (state_->block_state == ISAL_BLOCK_FINISH) {
    end_block();
    return true;
  }
  return state_->avail_out == 0;  // else the input is used up
}

void CheckpointInflater::take_output(uint32_t before_in) {
  const size_t end = buffer_.size() - state_->avail_out;
  const Bytes fresh = Bytes(buffer_).subspan(buffer_end_, end - buffer_end_);
  buffer_end_ = end;
  out_ += fresh.size();
  member_out_ += fresh.size();
  member_crc_ = crc32_gzip_refl(member_crc_, unsigned_data(fresh), fresh.size());
  const size_t consumed = before_in - state_->avail_in;
  if (capture_)
    capture_some({reinterpret_cast<const std::byte*>(state_->next_in - consumed), consumed}, fresh);
  if (!fresh.empty()) sink_.output(fresh);
}

void CheckpointInflater::end_block() {
  place_ = Place::block_start;
  if (!final_block_) return;
  const int32_t spare = state_->read_in_length % 8;  // the last byte's bits behind the last block
  state_->read_in >>= spare;
  state_->read_in_length -= spare;
  place_ = Place::trailer;
}

bool CheckpointInflater::read_trailer() {
  while (pending_.size() < kTrailerSize) {
    if (!has_input()) return false;
    pending_.push_back(next_byte());
  }
  const auto crc = load_le<uint32_t>(pending_.data());
  const auto length = load_le<uint32_t>(pending_.data() + 4);
  if (crc != member_crc_ || length != static_cast<uint32_t>(member_out_)) {
    throw make_error(ErrorKind::corrupt,
                     "gzip data differs from its checksum in the member that ends before byte {}",
                     fed_ - state_->avail_in);
  }
  pending_.clear();
  place_ = Place::header;
  return true;
}

/// The output so far, its last kWindowSize bytes, zeros before its start.
Bytes CheckpointInflater::history() const {
  return Bytes(buffer_).subspan(buffer_end_ - kWindowSize, kWindowSize);
}

void CheckpointInflater::begin_span() {
  end_capture();
  const auto ahead = static_cast<uint64_t>(state_->read_in_length / 8);
  const auto bits = static_cast<uint8_t>(state_->read_in_length % 8);
  capture_ = std::make_unique<SpanStart>();
  capture_->checkpoint = {.in = fed_ - state_->avail_in - ahead, .out = out_, .bits = bits};
  capture_->window.resize(kWindowSize);
  if (member_out_ > 0) std::ranges::copy(history(), capture_->window.begin());
  uint64_t held = state_->read_in;
  if (bits != 0) {
    capture_->compressed.push_back(static_cast<std::byte>(held << (8 - bits)));
    held >>= bits;
  }
  for (uint64_t i = 0; i < ahead; ++i)
    capture_->compressed.push_back(static_cast<std::byte>(held >> (8 * i)));
  any_span_ = true;
  span_begin_ = out_;
  sink_.begin_span(capture_->checkpoint);
}

/// Behind kWindowSize bytes of output nothing can refer to the window any more.
void CheckpointInflater::capture_some(Bytes compressed, Bytes output) {
  if (capture_->compressed.size() + compressed.size() > kMaxCapture) return end_capture();
  append(capture_->compressed, compressed);
  append(capture_->output, output.first(std::min(output.size(), kWindowSize - capture_->output.size())));
  if (capture_->output.size() == kWindowSize) end_capture();
}

void CheckpointInflater::end_capture() {
  if (const auto capture = std::exchange(capture_, nullptr)) sink_.span_start(std::move(*capture));
}

void zero_unreferenced(SpanStart& span) {
  if (span.output.size() < kWindowSize) return;  // rare: the file's end, or hardly any output
  // Two windows whose bytes tell where they stand, and one that differs everywhere from the true one: output
  // that differs came from the window, and the other two say from which place of it.
  std::vector<std::byte> low(kWindowSize);
  std::vector<std::byte> high(kWindowSize);
  std::vector<std::byte> other(kWindowSize);
  for (size_t i = 0; i < kWindowSize; ++i) {
    low[i] = static_cast<std::byte>(i);
    high[i] = static_cast<std::byte>(i >> 8);
    other[i] = ~span.window[i];
  }
  SpanInflater inflater;
  std::vector<std::byte> inflated(kWindowSize);
  for (auto* marked : {&low, &high, &other}) {
    inflater.start(span.checkpoint, *marked, span.compressed);
    if (inflater.read(inflated) != kWindowSize) return;
    marked->swap(inflated);
  }
  std::vector<std::byte> kept(kWindowSize);
  for (size_t i = 0; i < kWindowSize; ++i) {
    if (other[i] == span.output[i]) continue;
    const size_t place = std::to_integer<size_t>(high[i]) << 8 | std::to_integer<size_t>(low[i]);
    kept[place] = span.window[place];
  }
  span.window.swap(kept);
}

}  // namespace erofs_oci
