// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "base/digest.h"
#include "index/index_format.h"

namespace erofs_oci::testing {

namespace format = index_format;

/// An index as bytes that can be changed and made to fit their digests again.
class CraftedIndex {
 public:
  explicit CraftedIndex(std::string bytes) : bytes_(std::move(bytes)) {}

  format::Header& header() { return at<format::Header>(0); }
  format::Part& part(size_t number) {
    return at<format::Part>(sizeof(format::Header) + number * sizeof(format::Part));
  }
  size_t table_end() { return sizeof(format::Header) + header().parts * sizeof(format::Part); }
  /// The first part of a type.
  format::Part& part_of(format::PartType type, uint32_t layer = 0) {
    size_t number = 0;
    while (part(number).type != type || part(number).layer != layer) ++number;
    return part(number);
  }
  format::Extent& extent(size_t number) {
    return at<format::Extent>(part_of(format::PartType::extents).offset + number * sizeof(format::Extent));
  }
  format::Span& span(size_t number, uint32_t layer = 0) {
    return at<format::Span>(part_of(format::PartType::spans, layer).offset + number * sizeof(format::Span));
  }

  std::string identity() {
    const format::Part& part = part_of(format::PartType::identity);
    return bytes_.substr(part.offset, part.size);
  }
  /// `text` must fit in the block that holds the identity.
  void set_identity(const std::string& text) {
    format::Part& part = part_of(format::PartType::identity);
    bytes_.replace(part.offset, text.size(), text);
    part.size = text.size();
  }

  /// Makes all SHA-256s right whose bytes there are.
  void repair() {
    if (bytes_.size() < sizeof(format::Header)) return;
    for (size_t i = 0;
         i < header().parts && sizeof(format::Header) + (i + 1) * sizeof(format::Part) <= bytes_.size();
         ++i) {
      format::Part& p = part(i);
      const uint64_t offset = p.offset;
      const uint64_t size = p.size;
      if (offset > bytes_.size() || size > bytes_.size() - offset) continue;
      const Digest digest = sha256(as_bytes(std::string_view(bytes_).substr(offset, size)));
      std::memcpy(p.digest, digest.value.data(), sizeof p.digest);
    }
    const uint64_t end = sizeof(format::Header) + uint64_t{header().parts} * sizeof(format::Part);
    if (end + sizeof(Digest::value) > bytes_.size()) return;
    const Digest digest = sha256(as_bytes(std::string_view(bytes_).substr(0, end)));
    std::memcpy(bytes_.data() + end, digest.value.data(), sizeof digest.value);
  }

  std::string& bytes() { return bytes_; }

 private:
  template <typename T>
  T& at(uint64_t offset) {
    return *reinterpret_cast<T*>(bytes_.data() + offset);  // the structures are packed
  }

  std::string bytes_;
};

}  // namespace erofs_oci::testing
