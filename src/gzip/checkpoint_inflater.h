// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "gzip/zinfo.h"

struct inflate_state;

namespace erofs_oci {

/// The start of a span, up to where nothing can refer to the output before it any more.
struct SpanStart {
  Checkpoint checkpoint;
  std::vector<std::byte> window;  ///< the output before, kWindowSize bytes; all zero where a member begins
  std::vector<std::byte> compressed;  ///< from the checkpoint on
  std::vector<std::byte>
      output;  ///< the first kWindowSize bytes that it inflates to, fewer at the end of the file
};

/// Zeroes the bytes of the window to which the span does not refer: such windows compress far better.
void zero_unreferenced(SpanStart& span);

/// Inflates a gzip file from its start to its end, over any number of members, and finds the places where it
/// can be entered: the first block, then the first block that begins once `span_size` bytes of output lie
/// behind the last place. CRC and length of each member are checked. One thread at a time; about 600 KiB.
///
/// ISA-L inflates twice as fast as zlib but cannot be asked to stop between blocks (zlib's Z_BLOCK). It does
/// stop behind a final block: so each block is shown to it as the final one, by setting the block's first bit
/// (RFC 1951, 3.2.3) on the way.
class CheckpointInflater {
 public:
  /// Told what is found, in the order of the stream, from within feed() and finish().
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void output(Bytes bytes) = 0;
    /// What follows is the output from `checkpoint` on.
    virtual void begin_span(const Checkpoint& checkpoint) = 0;
    /// How the latest span starts. Comes once a span, before the next begins.
    virtual void span_start(SpanStart start) = 0;
  };

  CheckpointInflater(uint64_t span_size, Sink& sink);
  ~CheckpointInflater();

  /// The next bytes of the file. Error corrupt for what is not gzip.
  void feed(Bytes compressed);
  /// The file has no more bytes. Error corrupt where it ends inside a member.
  void finish();

 private:
  enum class Place { header, block_start, block, trailer };

  bool step();
  bool read_header();
  bool start_block();
  bool inflate_block();
  bool read_trailer();

  bool has_input() const;
  bool may_end_header() const;
  std::byte next_byte();
  void take_output(uint32_t before_in);
  void end_block();
  void begin_span();
  void capture_some(Bytes compressed, Bytes output);
  void end_capture();
  Bytes history() const;

  const uint64_t span_size_;
  Sink& sink_;
  std::unique_ptr<inflate_state> state_;
  std::vector<std::byte> buffer_;  // history, then new output up to buffer_end_
  size_t buffer_end_ = 0;
  uint64_t fed_ = 0;  // bytes of the file given to feed() so far
  uint64_t out_ = 0;
  uint64_t span_begin_ = 0;
  bool any_span_ = false;

  Place place_ = Place::header;
  bool final_block_ = false;
  uint32_t member_crc_ = 0;
  uint64_t member_out_ = 0;
  uint64_t members_ = 0;
  bool padding_ = false;                // zeros behind the last member have begun
  std::vector<std::byte> pending_;      // bytes of a header or trailer so far
  std::unique_ptr<SpanStart> capture_;  // of the latest span, until it is complete
};

}  // namespace erofs_oci
