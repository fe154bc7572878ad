// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/digest.h"
#include "source/buffer.h"

namespace erofs_oci {

/// Names a span among all streams of the process.
struct SpanKey {
  Digest stream;  ///< Stream::id
  uint64_t span = 0;
  friend bool operator==(const SpanKey&, const SpanKey&) = default;
};

struct SpanKeyHash {
  size_t operator()(const SpanKey& key) const noexcept {
    return static_cast<size_t>((std::hash<Digest>()(key.stream) * 0x9e3779b97f4a7c15ULL) ^
                               (key.span * 0xff51afd7ed558ccdULL));
  }
};

/// A span's output, shared by the cache and by replies that are being sent.
using SpanRef = std::shared_ptr<const Buffer>;

/// Spans in memory. What has been read from end to end goes first: the kernel above keeps that, while of others the rest is on its way
/// to be asked for. Then the least recently used. One thread at a time; knows no bound of its own.
class SpanCache {
 public:
  /// The span, of which `taken` bytes are read now, or null.
  SpanRef find(SpanKey key, uint64_t taken = 0);
  /// Why a span comes in.
  enum class Reason {
    asked_for,
    ahead,     ///< nobody has asked for it yet; counted as ahead_bytes()
    prefetch,  ///< it was to be put on disk, and is the first to go
  };
  void insert(SpanKey key, SpanRef span, Reason reason = Reason::asked_for, uint64_t taken = 0);
  /// As find(), but it is no use of it.
  SpanRef peek(SpanKey key) const;
  bool contains(SpanKey key) const { return index_.contains(key); }
  /// Bytes of spans that nobody has asked for yet.
  uint64_t ahead_bytes() const { return ahead_bytes_; }
  /// Takes spans that nobody else holds out, until they hold `wanted` bytes or none is left.
  std::vector<SpanRef> evict(uint64_t wanted);
  /// Takes one span out; null where it is not there.
  SpanRef remove(SpanKey key);
  /// Takes all spans of `stream` out.
  std::vector<SpanRef> remove_stream(const Digest& stream);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    SpanKey key;
    SpanRef span;
    bool ahead = false;
    uint64_t taken = 0;

    bool is_done() const { return taken >= span->size(); }
  };
  using Entries = std::list<Entry>;

  void mark_asked_for(Entry& entry);
  SpanRef take_out(Entries::iterator entry);

  Entries entries_;  // most recently used first; those that are the first to go, last
  std::unordered_map<SpanKey, Entries::iterator, SpanKeyHash> index_;
  uint64_t ahead_bytes_ = 0;
};

}  // namespace erofs_oci
