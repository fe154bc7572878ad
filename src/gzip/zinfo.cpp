// SPDX-License-Identifier: Apache-2.0
#include "gzip/zinfo.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

constexpr uint64_t kHeaderSize = 12;
constexpr uint64_t kEntryHeaderSize = 17;
constexpr uint64_t kEntrySize = kEntryHeaderSize + kWindowSize;
/// Bounds what a table costs in memory: 4 Mi checkpoints are 128 MiB of table and 128 GiB of file.
constexpr uint64_t kMaxCheckpoints = 4 * 1024 * 1024;
/// A deflate stream has at least a block header and an end-of-block code.
constexpr uint64_t kSmallestGzip = 20;

[[noreturn]] void refuse(const std::string& name, const std::string& reason) {
  throw make_error(ErrorKind::corrupt, "{}: not a usable zinfo: {}", name, reason);
}

}  // namespace

Zinfo::Zinfo(UniqueFd file, std::string name, uint64_t blob_size)
    : file_(std::move(file)), name_(std::move(name)), blob_size_(blob_size) {
  const auto file_size = static_cast<uint64_t>(stat_fd(file_.get(), name_).st_size);
  if (file_size < kHeaderSize) refuse(name_, fmt::format("{} bytes is less than its header", file_size));
  if (blob_size_ < kSmallestGzip) refuse(name_, fmt::format("its layer has only {} bytes", blob_size_));
  std::array<std::byte, kHeaderSize> header{};
  pread_exactly(file_.get(), 0, header, name_);
  const uint64_t have = load_le<uint32_t>(header.data());
  if (have == 0) refuse(name_, "it has no checkpoints");
  if (have > kMaxCheckpoints) {
    refuse(name_, fmt::format("{} checkpoints are more than the {} supported", have, kMaxCheckpoints));
  }
  add_entries(have, file_size);
}

void Zinfo::add_entries(uint64_t have, uint64_t file_size) {
  first_implied_ = file_size == kHeaderSize + (have - 1) * kEntrySize;
  if (!first_implied_ && file_size != kHeaderSize + have * kEntrySize) {
    refuse(name_, fmt::format("{} checkpoints need {} bytes, the file has {}; was it truncated?", have,
                              kHeaderSize + have * kEntrySize, file_size));
  }
  checkpoints_.reserve(have);
  if (first_implied_) checkpoints_.push_back({.at_gzip_header = true});
  while (checkpoints_.size() < have) {
    const size_t index = checkpoints_.size();
    std::array<std::byte, kEntryHeaderSize> entry{};
    pread_exactly(file_.get(), kHeaderSize + (index - first_implied_) * kEntrySize, entry, name_);
    checkpoints_.push_back({.in = load_le<uint64_t>(entry.data()),
                            .out = load_le<uint64_t>(entry.data() + 8),
                            .bits = std::to_integer<uint8_t>(entry[16])});
    check_entry(index);
  }
}

void Zinfo::check_entry(size_t index) const {
  const Checkpoint& entry = checkpoints_[index];
  if (entry.bits > 7) refuse(name_, fmt::format("checkpoint {} has {} spare bits", index, entry.bits));
  if (entry.in >= blob_size_) {
    refuse(name_, fmt::format("checkpoint {} lies at byte {}, but the layer has {} bytes; it belongs to another layer",
                              index, entry.in, blob_size_));
  }
  if (index == 0) {
    if (entry.out != 0) refuse(name_, fmt::format("its first checkpoint is at output byte {}", entry.out));
    if (entry.bits != 0 && entry.in == 0) refuse(name_, "its first checkpoint starts before the layer");
    return;
  }
  const Checkpoint& before = checkpoints_[index - 1];
  if (entry.in <= before.in || entry.out <= before.out) {
    refuse(name_, fmt::format("checkpoint {} does not lie behind checkpoint {}", index, index - 1));
  }
}

ByteRange Zinfo::compressed_range(size_t span) const {
  const Checkpoint& start = checkpoints_[span];
  const uint64_t end = span + 1 < checkpoints_.size() ? checkpoints_[span + 1].in : blob_size_;
  return ByteRange::from_to(start.in - (start.bits != 0 ? 1 : 0), end);
}

void Zinfo::read_window(size_t span, MutableBytes window) const {
  if (span == 0) {
    std::ranges::fill(window, std::byte{0});
    return;
  }
  pread_exactly(file_.get(), kHeaderSize + (span - first_implied_) * kEntrySize + kEntryHeaderSize, window, name_);
}

}  // namespace erofs_oci
