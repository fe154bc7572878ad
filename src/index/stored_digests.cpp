// SPDX-License-Identifier: Apache-2.0
#include "index/stored_digests.h"

#include <algorithm>
#include <cassert>

namespace erofs_oci {

/// With the bytes before `end` that it has not had yet.
void StoredDigests::update(Open& span, uint64_t end) const {
  const uint64_t tail_begin = piece_begin_ - tail_.size();
  assert(span.hashed >= tail_begin && end <= piece_begin_ + piece_.size());
  const auto part = [&](Bytes of, uint64_t begin) {
    const ByteRange wanted = ByteRange::from_to(span.hashed, std::max(span.hashed, end)).intersect({begin, of.size()});
    if (!wanted.empty()) span.hash.update(of.subspan(wanted.offset - begin, wanted.length));
  };
  part(tail_, tail_begin);
  part(piece_, piece_begin_);
  span.hashed = std::max(span.hashed, end);
}

void StoredDigests::update_all(uint64_t end) {
  for (std::optional<Open>* span : {&former_, &latest_})
    if (*span) update(**span, end);
}

void StoredDigests::done() {
  const uint64_t end = piece_begin_ + piece_.size();
  update_all(end - std::min<uint64_t>(end, kSlack));
  tail_.insert(tail_.end(), piece_.end() - static_cast<ptrdiff_t>(std::min(piece_.size(), kSlack)), piece_.end());
  if (tail_.size() > kSlack) tail_.erase(tail_.begin(), tail_.end() - kSlack);
  piece_begin_ = end;
  piece_ = {};
}

std::optional<Digest> StoredDigests::begin_span(uint64_t begin, uint64_t end) {
  std::optional<Digest> digest;
  if (latest_) {
    update(*latest_, end);
    former_ = Open{latest_->hash.copy(), latest_->hashed, latest_->window};
    latest_->hash.update(latest_->window);
    digest = latest_->hash.finish();
  }
  latest_.emplace();
  latest_->hashed = begin;
  return digest;
}

std::optional<Digest> StoredDigests::finish() {
  std::optional<Open>& last = former_ ? former_ : latest_;
  if (!last) return std::nullopt;
  update(*last, piece_begin_);
  last->hash.update(last->window);
  return last->hash.finish();
}

}  // namespace erofs_oci
