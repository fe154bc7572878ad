// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "tar/member.h"

namespace erofs_oci {

/// Walks an archive that is pushed through it piece by piece and tells its members. File data is skipped, never kept.
/// Formats: v7, ustar, GNU (long names, base-256 numbers, sparse), PAX (POSIX.1-2017; global headers; GNU sparse 0.0,
/// 0.1 and 1.0; SCHILY.xattr and LIBARCHIVE.xattr). One thread at a time.
class TarReader {
 public:
  using Visit = std::function<void(TarMember&&)>;

  /// The largest PAX header or GNU long name that is kept in memory.
  static constexpr uint64_t kMaxHeaderData = 1024 * kKiB;
  static constexpr size_t kMaxSparseRanges = 1'000'000;

  explicit TarReader(Visit visit);
  ~TarReader();

  /// The next bytes of the archive. Error corrupt or unsupported, naming the member, or where there is none, the place.
  void feed(Bytes bytes);
  /// The archive has no more bytes. One without the two end blocks is taken; one cut inside a member is Error corrupt.
  void finish();
  /// The last byte of the last member's padded data, without the end blocks.
  uint64_t end_of_members() const;

 private:
  class Walk;
  std::unique_ptr<Walk> walk_;
};

}  // namespace erofs_oci
