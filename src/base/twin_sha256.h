// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>

#include "base/digest.h"
#include "base/sha256_lanes.h"

namespace erofs_oci {

/// The SHA-256 of a stream and of each piece of it, in little more time than one of them where the processor
/// has instructions for it, else by OpenSSL. One thread at a time.
class TwinSha256 {
 public:
  explicit TwinSha256(bool by_instructions = has_sha256_instructions());

  void update(Bytes bytes);
  /// Of what came since the last call.
  Digest finish_piece();
  /// Of everything.
  Digest finish();

 private:
  static constexpr size_t kBlock = 64;

  /// A computation, and what does not fill a block yet.
  struct Lane {
    Sha256State state;
    uint64_t size = 0;
    std::array<std::byte, kBlock> rest;

    Lane() { reset(); }
    void reset();
    size_t rest_size() const { return size % kBlock; }
    /// Completes a block that was begun, as far as `bytes` last; what is left of them.
    Bytes fill(Bytes bytes);
    void update(Bytes bytes);
    Digest finish();
  };

  const bool by_instructions_;
  Lane stream_;
  Lane piece_;
  std::optional<Sha256> portable_stream_;
  std::optional<Sha256> portable_piece_;
};

}  // namespace erofs_oci
