// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "source/access_record.h"
#include "source/block_device.h"
#include "index/extent_map.h"
#include "source/sequential_readers.h"
#include "source/span_loader.h"
#include "source/span_use.h"

namespace erofs_oci {

/// What a device has done since it was made; counters only grow and may be read from any thread.
struct ReadCounters {
  std::atomic<uint64_t> reads{0};
  std::atomic<uint64_t> bytes_read{0};
  std::atomic<uint64_t> hits{0};
  std::atomic<uint64_t> misses{0};
  std::atomic<uint64_t> errors{0};
};

/// Where a read was that failed.
struct FailedRead {
  ByteRange range;                   ///< of the device
  std::optional<std::string> layer;  ///< its digest, where it is known that it is the layer's
  std::optional<uint64_t> span;      ///< of that layer
};

/// What a device is made of; see design of the map in README.md.
struct DeviceParts {
  std::string name;  ///< of the mount, for messages
  std::shared_ptr<const ExtentMap> map;
  UniqueFd metadata;  ///< local file that kMetadata extents point into; may be empty
  std::string metadata_name;
  std::vector<std::shared_ptr<const Stream>> streams;
  std::vector<std::string> layers;  ///< the digests of the streams' layers, as far as they are known
  uint32_t block_size = 4096;
};

/// The virtual device of a mount: a map over a local metadata file and streams. Thread-safe; always owned by a
/// shared_ptr, which reads under way share.
///
/// A read that memory and the local file can answer is answered within read(). Any other waits, first come first
/// served over all devices, until memory for its reply is free; then its spans are loaded and copied into the reply.
/// A read inside one span is answered from the span itself. Sequential readers of a stream are read ahead.
class MappedDevice : public BlockDevice, public std::enable_shared_from_this<MappedDevice> {
 public:
  /// Told of each failed read, on any thread: the edge that logs.
  using OnError = std::function<void(const FailedRead&, const Error&)>;

  /// Probes of a device's end by blkid and udev must not cost a fetch, so at least so much of it is a gap.
  static constexpr uint64_t kTailGap = kMiB;
  /// The largest read; the protocol's own bound (NBD: proto.md, "Block size constraints").
  static constexpr uint64_t kMaxRead = 32 * kMiB;
  /// Local bytes that a read may take from the metadata file without waiting for a reply's memory.
  static constexpr uint64_t kMaxDirectMetadata = kMiB;

  MappedDevice(DeviceParts parts, SpanLoader& loader, OnError on_error);
  ~MappedDevice() override;

  uint64_t size_bytes() const override { return size_bytes_; }
  uint32_t block_size() const override { return parts_.block_size; }
  void read(ByteRange range, ReadDone done) override;

  /// Whether memory and disk hold all of it, so that a read asks no source.
  bool is_at_hand(ByteRange range);
  /// Counts and tells a failed read. One that failed because its source is away (ReadResult::unavailable) is noted by
  /// whoever gives it up, others have been.
  void note_failure(ByteRange range, const Error& error);

  const ReadCounters& counters() const { return counters_; }
  /// Shared with loads that outlive the device.
  const std::shared_ptr<AccessRecord>& record() const { return record_; }
  const ExtentMap& map() const { return *parts_.map; }
  const std::vector<std::shared_ptr<const Stream>>& streams() const { return parts_.streams; }
  const SpanUse& use() const { return use_; }

 private:
  class PendingRead;
  std::optional<SpanPlace> first_place(ByteRange range) const;
  void note_failure(ByteRange range, const Error& error, std::optional<SpanPlace> place);
  /// The reply, where memory holds all of it; hits are noted in `record`, where one is given.
  std::optional<Payload> read_from_memory(const std::vector<Piece>& pieces, AccessRecord* record);
  bool append_spans(const Piece& piece, Payload& payload, AccessRecord* record);
  uint64_t taken(SpanPlace place, uint64_t length) const;
  void note(SpanPlace place, AccessRecord::Clock::time_point begin, const SpanResult& result);
  void read_ahead(const std::vector<Piece>& pieces);
  void read_metadata(ByteRange range, MutableBytes out) const;

  DeviceParts parts_;
  const SpanUse use_;
  SpanLoader& loader_;
  OnError on_error_;
  ReadCounters counters_;
  const std::shared_ptr<AccessRecord> record_ = std::make_shared<AccessRecord>();
  uint64_t size_bytes_;
  std::atomic<uint64_t> awaited_bytes_{0};  // of reads under way
  Mutex readers_mutex_;
  std::vector<SequentialReaders> readers_ GUARDED_BY(readers_mutex_);  // of each stream
};

}  // namespace erofs_oci
