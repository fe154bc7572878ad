// SPDX-License-Identifier: Apache-2.0
#include "index/index_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

namespace format = index_format;

constexpr uint64_t kCopyPiece = kMiB;

template <typename T>
void append(std::vector<std::byte>& to, const T& value) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
  to.insert(to.end(), bytes, bytes + sizeof value);
}

}  // namespace

IndexWriter::IndexWriter(int file, std::string name, uint32_t parts)
    : file_(file),
      name_(std::move(name)),
      expected_(parts),
      end_(sizeof(format::Header) + parts * sizeof(format::Part) + sizeof(Digest::value)) {
  assert(parts <= format::kMaxParts);
}

void IndexWriter::begin(format::PartType type, uint32_t layer) {
  end_part();
  end_ = round_up(end_, format::kAlignment);
  parts_.push_back({.type = type, .layer = layer, .offset = end_, .size = 0, .zero = 0, .digest = {}});
}

void IndexWriter::write(Bytes bytes) {
  pwrite_all(file_, end_, bytes, name_);
  hash_.update(bytes);
  end_ += bytes.size();
}

void IndexWriter::write_file(int file, uint64_t size) {
  std::vector<std::byte> piece(std::min(kCopyPiece, size));
  for (uint64_t done = 0; done < size; done += piece.size()) {
    piece.resize(std::min<uint64_t>(piece.size(), size - done));
    pread_exactly(file, done, piece, name_);
    write(piece);
  }
}

void IndexWriter::end_part() {
  if (parts_.empty()) return;
  format::Part& part = parts_.back();
  part.size = end_ - part.offset;
  const bool table = part.type == format::PartType::extents || part.type == format::PartType::spans;
  if (table && part.size > format::kMaxTable) {
    throw make_error(ErrorKind::unsupported, "{}: it would need a table of {}; at most {} are read", name_,
                     human_size(part.size), human_size(format::kMaxTable));
  }
  const Digest digest = hash_.finish();
  std::memcpy(part.digest, digest.value.data(), sizeof part.digest);
}

Digest IndexWriter::finish() {
  end_part();
  assert(parts_.size() == expected_);
  std::vector<std::byte> bytes;
  format::Header header{.magic = {}, .version = format::kVersion, .parts = expected_, .file_size = end_};
  std::memcpy(header.magic, format::kMagic, sizeof header.magic);
  append(bytes, header);
  for (const format::Part& part : parts_) append(bytes, part);
  const Digest digest = sha256(bytes);
  bytes.insert(bytes.end(), digest.value.begin(), digest.value.end());
  if (::ftruncate(file_, static_cast<off_t>(end_)) != 0) throw errno_error("{}", name_);
  pwrite_all(file_, 0, bytes, name_);
  if (::fsync(file_) != 0) throw errno_error("{}", name_);
  return digest;
}

}  // namespace erofs_oci
