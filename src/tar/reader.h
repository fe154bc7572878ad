// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "tar/member.h"

namespace erofs_oci {

/// Walks an archive that is pushed through it piece by piece and tells its members. File data is skipped,
/// never kept. Formats: v7, ustar, star, GNU (long names, base-256 numbers, sparse), PAX (POSIX.1-2017;
/// global headers; GNU sparse 0.0, 0.1 and 1.0; SCHILY.xattr and LIBARCHIVE.xattr). Where tars disagree it
/// reads as Go's archive/tar does, which makes and unpacks most layers; README.md lists these cases. One
/// thread at a time.
class TarReader {
 public:
  /// Called for each member once all of its data have passed.
  using Visit = std::function<void(TarMember&&)>;

  /// The largest PAX header or GNU long name that is kept in memory; Go has the same bound.
  static constexpr uint64_t kMaxHeaderData = 1024 * kKiB;
  /// Names, links and attributes in a global header, which each member repeats.
  static constexpr uint64_t kMaxGlobalText = 4 * kKiB;
  static constexpr size_t kMaxSparseRanges = 1'000'000;

  explicit TarReader(Visit visit);
  ~TarReader();

  /// The next bytes of the archive. Error corrupt or unsupported, naming the member, or where there is none,
  /// the place; then the reader is of no more use.
  void feed(Bytes bytes);
  /// How many of the next bytes it would not look at, so that who can seek need not read them; all, behind
  /// the end of the archive.
  uint64_t skippable() const;
  /// As feed(), for `count` bytes that are skippable().
  void skip(uint64_t count);
  /// The archive has no more bytes. One without the two end blocks, or without the last member's padding, is
  /// taken; one cut inside a member is Error corrupt.
  void finish();
  /// Where the last member told ends, its data padded to kTarBlock, and the end blocks begin.
  uint64_t end_of_members() const;

 private:
  class Walk;
  std::unique_ptr<Walk> walk_;
};

}  // namespace erofs_oci
