// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <thread>

#include "base/gate.h"
#include "base/mutex.h"
#include "source/buffer.h"
#include "source/stream.h"

namespace erofs_oci {

/// Called exactly once, on the loader's thread or within stop(); must not block or throw.
using GroupDone = std::function<void(std::optional<Error>)>;

/// Loads spans that can only be decoded together, such as a layer that is one zstd frame: fetches the group's
/// stored bytes from their start on and decodes them piece by piece, as much as is wanted, and where the
/// stream has a store, all, so that it need not be done again. Readers go first: a prefetch alone has it go on
/// only to what the prefetch asks for, so that its rate holds, and only while no reader waits for anything else;
/// but what it must then pass by again it makes up for with as many new spans, or it would be at it for ever.
///
/// One group at a time is under way, on a thread of its own, with buffers of its own beside the memory bound:
/// spans that wait for it hold the bound. Thread-safe.
class GroupLoader {
 public:
  /// Stored bytes are asked for so many at a time, BlobStream::kPieces times.
  static constexpr uint64_t kStoredPiece = kMiB;
  /// Spans on their way to the store.
  static constexpr size_t kSpansToStore = 2;

  GroupLoader();
  /// To be stopped before; what its blobs read with must have ended.
  ~GroupLoader();
  /// Fails what waits, and everything from now on; what is being fetched fails with the fetch. Once this has
  /// returned no blob is read any more, so what blobs read with may go. The thread is not waited for: it may
  /// itself wait for a fetch that fails only when that goes.
  void stop();

  /// May become more urgent meanwhile.
  using Urgency = std::shared_ptr<const std::atomic<Priority>>;

  /// Fills `out`, as long as the span, which is of a group of several; it is verified.
  void load(std::shared_ptr<const Stream> stream, size_t span, MutableBytes out, Urgency urgency, GroupDone done);

 private:
  struct Want {
    std::shared_ptr<const Stream> stream;
    size_t span;
    MutableBytes out;
    Urgency urgency;
    GroupDone done;

    bool is_of(const Stream& other, size_t first, size_t end) const {
      return stream->id == other.id && span >= first && span < end;
    }
    bool is_readers() const { return *urgency != Priority::prefetch; }
  };
  class Pass;
  class SpareSpans;

  void run();
  std::shared_ptr<const Stream> next_group(SpanGroup& group);
  bool find_kept(const std::shared_ptr<const Stream>& stream, SpanGroup group);
  std::optional<Want> take(const Stream& stream, size_t first, size_t end);
  void put_back(Want want);
  bool is_wanted(const Stream& stream, size_t from, size_t end, bool for_store);
  Priority urgency_of(const Stream& stream, size_t from, size_t end, Priority least);
  void fail_group(const std::shared_ptr<const Stream>& stream, SpanGroup group, const Error& error);

  const std::shared_ptr<SpareSpans> spare_;  // shared with spans that are being stored
  Gate reading_;  // within it a blob is read
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::list<Want> wants_ GUARDED_BY(mutex_);  // the most urgent, then the first, is served; memory bounds them
  std::jthread thread_;
};

}  // namespace erofs_oci
