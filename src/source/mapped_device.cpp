// SPDX-License-Identifier: Apache-2.0
#include "source/mapped_device.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <numeric>

#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

alignas(4096) constexpr std::array<std::byte, 64 * kKiB> kZeros{};

void append_zeros(uint64_t length, Payload& payload) {
  while (length != 0) {
    const uint64_t part = std::min<uint64_t>(length, kZeros.size());
    payload.push_back({Bytes(kZeros).first(part), nullptr});
    length -= part;
  }
}

uint64_t metadata_bytes(const std::vector<Piece>& pieces) {
  return std::accumulate(pieces.begin(), pieces.end(), uint64_t{0}, [](uint64_t sum, const Piece& piece) {
    return sum + (!piece.is_gap && piece.target == kMetadata ? piece.range.length : 0);
  });
}

/// Of the memory bound, the part that one sequential reader may be ahead.
constexpr uint64_t kWindowShare = 4;

/// The kernel's reads, and no longer ones, whose spans together might withhold too much memory from others until the reply is
/// taken: half of the bound is for replies of their own.
constexpr uint64_t kMaxPointed = 1 * kMiB;

/// A part of a read that lies in one span.
struct SpanPart {
  size_t span;
  uint64_t offset_in_span;
  uint64_t length;
};

/// The first part of stream range `range`.
SpanPart first_part(const SpanTable& spans, ByteRange range) {
  const size_t span = spans.find(range.offset);
  const ByteRange part = spans.output(span).intersect(range);
  return {span, range.offset - spans.output(span).offset, part.length};
}

}  // namespace

/// A read that has to wait for its spans, which arrive in any order. None is held while another is awaited, so that no memory is
/// withheld from those who wait as well; when the last has come, all are in memory, as a rule, and the reply points there. Else,
/// and where it is a long one, they are copied as they come into memory of the reply's own.
class MappedDevice::PendingRead : public std::enable_shared_from_this<PendingRead> {
 public:
  PendingRead(std::shared_ptr<MappedDevice> device, ByteRange range, std::vector<Piece> pieces, ReadDone done)
      : device_(std::move(device)), range_(range), pieces_(std::move(pieces)), done_(std::move(done)) {
    device_->awaited_bytes_ += range_.length;
  }
  ~PendingRead() { device_->awaited_bytes_ -= range_.length; }

  void start() {
    if (const auto part = only_part()) return start_inside_span(*part);
    range_.length <= kMaxPointed ? load_all() : reserve_reply();
  }

 private:
  /// What is done once nothing is under way and nothing has failed.
  using Next = void (PendingRead::*)();

  static bool is_in_stream(const Piece& piece) { return !piece.is_gap && piece.target != kMetadata; }

  std::optional<SpanPart> only_part() const {
    const Piece& piece = pieces_.front();
    if (pieces_.size() != 1 || !is_in_stream(piece)) return std::nullopt;
    const SpanPart part = first_part(*stream(piece).spans, piece.range);
    if (part.length != piece.range.length) return std::nullopt;
    return part;
  }

  const Stream& stream(const Piece& piece) const { return *device_->parts_.streams[piece.target]; }

  void start_inside_span(SpanPart part) {
    const SpanPlace place{pieces_.front().target, static_cast<uint32_t>(part.span)};
    device_->loader_.load(device_->parts_.streams[place.stream], part.span, Priority::foreground,
                          [self = shared_from_this(), part, place](SpanResult result) {
                            self->device_->note(place, self->begin_, result);
                            if (result.error) return self->fail(*result.error, place);
                            const Bytes bytes = result.span->bytes().subspan(part.offset_in_span, part.length);
                            self->done_({0, {{bytes, std::move(result.span)}}, {}});
                          },
                          device_->taken(place, part.length));
  }

  /// Asks for every span of a piece at once: `arrived` is called with each that came, and its place in the piece; then `next`
  /// once nothing is under way. Where it `takes` their bytes, they are not asked for once more.
  template <typename Arrived>
  void load_piece(const Piece& piece, bool takes, Next next, const Arrived& arrived) {
    SpanLoader::Together together(device_->loader_);
    for (ByteRange rest = piece.range; !rest.empty();) {
      const SpanPart part = first_part(*stream(piece).spans, rest);
      const SpanPlace place{piece.target, static_cast<uint32_t>(part.span)};
      const uint64_t offset = rest.offset - piece.range.offset;
      ++parts_under_way_;
      device_->loader_.load(device_->parts_.streams[piece.target], part.span, Priority::foreground,
                            [self = shared_from_this(), next, arrived, part, place, offset](const SpanResult& result) {
                              self->device_->note(place, self->begin_, result);
                              if (result.error) {
                                self->remember(*result.error, place);
                              } else {
                                arrived(part, offset, *result.span);
                              }
                              self->part_finished(next);
                            },
                            takes ? device_->taken(place, part.length) : 0);
      rest = ByteRange::from_to(rest.offset + part.length, rest.end());
    }
  }

  void load_all() {
    for (const Piece& piece : pieces_) {
      if (!is_in_stream(piece)) continue;
      load_piece(piece, /*takes=*/false, &PendingRead::reply_from_memory, [](const SpanPart&, uint64_t, const Buffer&) {});
    }
    part_finished(&PendingRead::reply_from_memory);
  }

  void reply_from_memory() {
    std::optional<Payload> payload;
    try {
      payload = device_->read_from_memory(pieces_, nullptr);
    } catch (const Error& error) {
      return fail(error);
    }
    if (payload) return done_({0, *std::move(payload), {}});
    reserve_reply();
  }

  void reserve_reply() {
    device_->loader_.memory().reserve(
        MemoryBound::Kind::reply, range_.length,
        [self = shared_from_this()](Reservation memory) { self->fill(std::move(memory)); });
  }

  void fill(Reservation memory) {
    try {
      reply_ = device_->loader_.memory().allocate(std::move(memory));
    } catch (const Error& error) {
      return fail(error);
    }
    parts_under_way_ = 1;
    uint64_t offset = 0;
    for (const Piece& piece : pieces_) {
      fill_piece(piece, reply_->bytes().subspan(offset, piece.range.length));
      offset += piece.range.length;
    }
    part_finished(&PendingRead::reply_with_copy);
  }

  void fill_piece(const Piece& piece, MutableBytes out) {
    if (piece.is_gap) {
      std::ranges::fill(out, std::byte{0});
    } else if (piece.target == kMetadata) {
      fill_metadata(piece.range, out);
    } else {
      const auto copy = [out](const SpanPart& part, uint64_t offset, const Buffer& span) {
        std::memcpy(out.data() + offset, span.bytes().data() + part.offset_in_span, part.length);
      };
      load_piece(piece, /*takes=*/true, &PendingRead::reply_with_copy, copy);
    }
  }

  void fill_metadata(ByteRange range, MutableBytes out) {
    try {
      device_->read_metadata(range, out);
    } catch (const Error& error) {
      remember(error);
    }
  }

  void reply_with_copy() {
    const Bytes bytes = std::as_const(*reply_).bytes();
    done_({0, {{bytes, std::move(reply_)}}, {}});
  }

  void part_finished(Next next) {
    if (--parts_under_way_ != 0) return;
    std::optional<Error> error;
    std::optional<SpanPlace> place;
    {
      MutexLock lock(mutex_);
      error = error_;
      place = place_;
    }
    if (error) return fail(*error, place);
    (this->*next)();
  }

  void remember(const Error& error, std::optional<SpanPlace> place = std::nullopt) {
    MutexLock lock(mutex_);
    if (error_) return;
    error_ = error;
    place_ = place;
  }

  void fail(const Error& error, std::optional<SpanPlace> place = std::nullopt) {
    reply_.reset();
    if (error.kind() == ErrorKind::unavailable) return done_({error.errno_value(), {}, error});
    device_->note_failure(range_, error, place);
    done_({error.errno_value(), {}, {}});
  }

  const std::shared_ptr<MappedDevice> device_;
  const ByteRange range_;
  const std::vector<Piece> pieces_;
  const ReadDone done_;
  const AccessRecord::Clock::time_point begin_ = AccessRecord::Clock::now();
  std::shared_ptr<Buffer> reply_;
  std::atomic<size_t> parts_under_way_{1};  // one for who asks for them
  Mutex mutex_;
  std::optional<Error> error_ GUARDED_BY(mutex_);
  std::optional<SpanPlace> place_ GUARDED_BY(mutex_);  // where error_ was
};

MappedDevice::MappedDevice(DeviceParts parts, SpanLoader& loader, OnError on_error)
    : parts_(std::move(parts)), use_(*parts_.map, parts_.streams), loader_(loader), on_error_(std::move(on_error)) {
  size_bytes_ = round_up(parts_.map->end() + kTailGap, 4096);
  readers_.assign(parts_.streams.size(), SequentialReaders(loader_.memory().limit() / kWindowShare));
  for (const auto& stream : parts_.streams) loader_.use(*stream);
}

MappedDevice::~MappedDevice() {
  for (const auto& stream : parts_.streams) loader_.drop(*stream);
}

void MappedDevice::read(ByteRange range, ReadDone done) {
  assert(!range.empty() && range.fits_in(size_bytes_) && range.length <= kMaxRead);
  ++counters_.reads;
  counters_.bytes_read += range.length;
  std::vector<Piece> pieces = parts_.map->pieces(range);
  std::optional<Payload> payload;
  try {
    payload = read_from_memory(pieces, record_.get());
  } catch (const Error& error) {
    note_failure(range, error, std::nullopt);
    return done({error.errno_value(), {}, {}});
  }
  const auto self = shared_from_this();  // `done` may drop the last one
  if (payload) {
    ++counters_.hits;
    done({0, std::move(*payload), {}});
  } else {
    ++counters_.misses;
    std::make_shared<PendingRead>(self, range, pieces, std::move(done))->start();
  }
  read_ahead(pieces);  // after those who wait
}

/// Of the read, the first span that is of a layer.
std::optional<SpanPlace> MappedDevice::first_place(ByteRange range) const {
  for (const Piece& piece : parts_.map->pieces(range)) {
    if (piece.is_gap || piece.target == kMetadata) continue;
    const size_t span = parts_.streams[piece.target]->spans->find(piece.range.offset);
    return SpanPlace{piece.target, static_cast<uint32_t>(span)};
  }
  return std::nullopt;
}

void MappedDevice::note_failure(ByteRange range, const Error& error) {
  note_failure(range, error, first_place(range));
}

void MappedDevice::note_failure(ByteRange range, const Error& error, std::optional<SpanPlace> place) {
  ++counters_.errors;
  if (!on_error_) return;
  FailedRead failed{range, std::nullopt, std::nullopt};
  if (place) {
    failed.span = place->span;
    if (place->stream < parts_.layers.size()) failed.layer = parts_.layers[place->stream];
  }
  on_error_(failed, error);
}

bool MappedDevice::is_at_hand(ByteRange range) {
  return std::ranges::all_of(parts_.map->pieces(range), [&](const Piece& piece) {
    if (piece.is_gap || piece.target == kMetadata) return true;
    const Stream& stream = *parts_.streams[piece.target];
    for (ByteRange rest = piece.range; !rest.empty();) {
      const SpanPart part = first_part(*stream.spans, rest);
      const bool kept = stream.store && stream.store->has(part.span);
      if (!kept && !loader_.find(stream, part.span)) return false;
      rest = ByteRange::from_to(rest.offset + part.length, rest.end());
    }
    return true;
  });
}

void MappedDevice::read_ahead(const std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) {
    if (piece.is_gap || piece.target == kMetadata) continue;
    ByteRange ahead;
    {
      MutexLock lock(readers_mutex_);
      ahead = readers_[piece.target].note(piece.range, awaited_bytes_);
    }
    const auto& stream = parts_.streams[piece.target];
    const SpanTable& spans = *stream->spans;
    ahead = ahead.intersect({0, spans.stream_size()});
    if (ahead.empty()) continue;
    const size_t last = spans.find(ahead.end() - 1);
    SpanLoader::Together together(loader_);
    for (size_t span = spans.find(ahead.offset); span <= last; ++span) {
      loader_.load_ahead(
          stream, span,
          [record = record_, place = SpanPlace{piece.target, static_cast<uint32_t>(span)},
           begin = AccessRecord::Clock::now()] { record->note(place, AccessKind::read_ahead, begin); });
    }
  }
}

std::optional<Payload> MappedDevice::read_from_memory(const std::vector<Piece>& pieces, AccessRecord* record) {
  if (metadata_bytes(pieces) > kMaxDirectMetadata) return std::nullopt;
  Payload payload;
  for (const Piece& piece : pieces) {
    if (piece.is_gap) {
      append_zeros(piece.range.length, payload);
    } else if (piece.target == kMetadata) {
      auto local = std::make_shared<std::vector<std::byte>>(piece.range.length);
      read_metadata(piece.range, *local);
      payload.push_back({*local, local});
    } else if (!append_spans(piece, payload, record)) {
      return std::nullopt;
    }
  }
  return payload;
}

bool MappedDevice::append_spans(const Piece& piece, Payload& payload, AccessRecord* record) {
  const Stream& stream = *parts_.streams[piece.target];
  for (ByteRange rest = piece.range; !rest.empty();) {
    const SpanPart part = first_part(*stream.spans, rest);
    const SpanPlace place{piece.target, static_cast<uint32_t>(part.span)};
    SpanRef span = loader_.find(stream, part.span, taken(place, part.length));
    if (!span) return false;
    if (record != nullptr) record->note_hit(place);
    payload.push_back({span->bytes().subspan(part.offset_in_span, part.length), span});
    rest = ByteRange::from_to(rest.offset + part.length, rest.end());
  }
  return true;
}

/// Of a span's bytes, how many a read of `length` has done with: those that no read asks for go with the others, so that what
/// has been read from end to end is known as such.
uint64_t MappedDevice::taken(SpanPlace place, uint64_t length) const {
  const uint64_t size = parts_.streams[place.stream]->spans->output(place.span).length;
  const uint64_t used = std::min(use_.of(place), size);
  if (used == 0) return length;  // a map that leads twice to the same bytes
  return (length * size + used - 1) / used;
}

void MappedDevice::note(SpanPlace place, AccessRecord::Clock::time_point begin, const SpanResult& result) {
  static constexpr std::array kKinds{AccessKind::memory, AccessKind::disk, AccessKind::fetched};
  record_->note(place, result.error ? AccessKind::failed : kKinds[static_cast<size_t>(result.origin)], begin);
}

void MappedDevice::read_metadata(ByteRange range, MutableBytes out) const {
  pread_exactly(parts_.metadata.get(), range.offset, out, parts_.metadata_name);
}

}  // namespace erofs_oci
