// SPDX-License-Identifier: Apache-2.0
#include "gzip/span_inflater.h"

#include <isa-l/igzip_lib.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <algorithm>
#include <cassert>
#include <limits>

#include "base/error.h"

namespace erofs_oci {
namespace {

constexpr size_t kTrailerSize = 8;  // CRC-32 and length (RFC 1952, 2.3.1)
constexpr size_t kFixedHeaderSize = 10;

// FLG bits (RFC 1952, 2.3.1).
constexpr uint8_t kHeaderCrc = 1 << 1;
constexpr uint8_t kExtra = 1 << 2;
constexpr uint8_t kName = 1 << 3;
constexpr uint8_t kComment = 1 << 4;
constexpr uint8_t kReserved = 0xe0;

uint8_t byte_at(Bytes data, size_t index) { return std::to_integer<uint8_t>(data[index]); }

/// The offset behind the NUL-terminated text at `offset`; beyond data.size() where there is no NUL.
size_t skip_text(Bytes data, size_t offset) {
  const auto begin = data.begin() + static_cast<ptrdiff_t>(std::min(offset, data.size()));
  return static_cast<size_t>(std::find(begin, data.end(), std::byte{0}) - data.begin()) + 1;
}

uint8_t* unsigned_data(Bytes bytes) {
  return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(bytes.data()));  // ISA-L's inputs are not const
}

#ifdef __x86_64__
[[gnu::target("avx")]] void zero_upper_halves() { _mm256_zeroupper(); }
#endif

/// ISA-L leaves the upper halves of vector registers in use. Code that knows only the lower ones, such as OpenSSL's
/// SHA-256, which comes next, would take twice as long.
void leave_vectors_clean() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx")) zero_upper_halves();
#endif
}

}  // namespace

size_t gzip_header_length(Bytes data) {
  if (data.size() < kFixedHeaderSize) return 0;
  if (byte_at(data, 0) != 0x1f || byte_at(data, 1) != 0x8b || byte_at(data, 2) != 8) {
    throw Error(ErrorKind::corrupt, "gzip data has no member header where one must stand");
  }
  const uint8_t flags = byte_at(data, 3);
  if (flags & kReserved) throw Error(ErrorKind::corrupt, "gzip member header has reserved flags");
  size_t length = kFixedHeaderSize;
  if (flags & kExtra) {
    if (length + 2 > data.size()) return 0;
    length += 2 + load_le<uint16_t>(data.data() + length);
  }
  if (flags & kName) length = skip_text(data, length);
  if (flags & kComment) length = skip_text(data, length);
  if (flags & kHeaderCrc) length += 2;
  return length <= data.size() ? length : 0;
}

SpanInflater::SpanInflater() : state_(std::make_unique_for_overwrite<inflate_state>()) {}
SpanInflater::~SpanInflater() = default;

void SpanInflater::start(const Checkpoint& checkpoint, Bytes window, Bytes compressed) {
  assert(window.size() == kWindowSize && compressed.size() <= std::numeric_limits<uint32_t>::max());
  isal_inflate_init(state_.get());
  input_ = compressed;
  in_member_ = !checkpoint.at_gzip_header;
  if (!in_member_) return;
  if (checkpoint.bits != 0) {
    if (input_.empty()) throw Error(ErrorKind::corrupt, "gzip data ends before its checkpoint");
    state_->read_in = static_cast<uint64_t>(byte_at(input_, 0) >> (8 - checkpoint.bits));
    state_->read_in_length = checkpoint.bits;
    input_ = input_.subspan(1);
  }
  if (checkpoint.out != 0) isal_inflate_set_dict(state_.get(), unsigned_data(window), kWindowSize);
  state_->next_in = unsigned_data(input_);
  state_->avail_in = static_cast<uint32_t>(input_.size());
}

size_t SpanInflater::read(MutableBytes out) {
  size_t done = 0;
  while (done < out.size()) {
    if (!in_member_ && !next_member()) break;
    const size_t count = inflate_some(out.subspan(done));
    done += count;
    if (count == 0 && in_member_) break;  // the input ends inside a member: the caller sees a short span
  }
  leave_vectors_clean();
  return done;
}

/// Inflates until the output is full, the input is used up or the member ends.
size_t SpanInflater::inflate_some(MutableBytes out) {
  state_->next_out = reinterpret_cast<uint8_t*>(out.data());
  state_->avail_out = static_cast<uint32_t>(std::min<size_t>(out.size(), std::numeric_limits<uint32_t>::max()));
  const uint32_t before = state_->avail_out;
  const int status = isal_inflate(state_.get());
  if (status != ISAL_DECOMP_OK && status != ISAL_END_INPUT && status != ISAL_OUT_OVERFLOW) {
    throw make_error(ErrorKind::corrupt, "gzip data cannot be inflated (ISA-L error {})", status);
  }
  if (state_->block_state == ISAL_BLOCK_FINISH) {
    input_ = unread();
    input_ = input_.subspan(std::min(kTrailerSize, input_.size()));
    in_member_ = false;
  }
  return before - state_->avail_out;
}

/// What follows the deflate data; ISA-L reads whole bytes ahead into read_in.
Bytes SpanInflater::unread() const {
  const size_t ahead = static_cast<size_t>(std::max(state_->read_in_length, 0)) / 8;
  return input_.last(std::min(input_.size(), state_->avail_in + ahead));
}

/// Goes on to the next member's data; false at the end of the input, zero padding included.
bool SpanInflater::next_member() {
  if (std::ranges::all_of(input_.first(std::min<size_t>(input_.size(), kFixedHeaderSize)),
                          [](std::byte byte) { return byte == std::byte{0}; })) {
    return false;
  }
  const size_t header = gzip_header_length(input_);
  if (header == 0) throw Error(ErrorKind::corrupt, "gzip data ends inside a member header");
  input_ = input_.subspan(header);
  isal_inflate_init(state_.get());
  state_->next_in = unsigned_data(input_);
  state_->avail_in = static_cast<uint32_t>(input_.size());
  in_member_ = true;
  return true;
}

}  // namespace erofs_oci
