// SPDX-License-Identifier: Apache-2.0
#include "gzip/zinfo_writer.h"

#include <array>

#include "base/file.h"

namespace erofs_oci {
namespace {

constexpr size_t kHeaderSize = 12;
constexpr size_t kEntrySize = 17 + kWindowSize;

}  // namespace

ZinfoWriter::ZinfoWriter(int file, std::string name, uint64_t span_size)
    : file_(file), name_(std::move(name)), span_size_(span_size) {}

void ZinfoWriter::add(const SpanStart& span) {
  std::array<std::byte, 17> head;
  store_le<uint64_t>(head.data(), span.checkpoint.in);
  store_le<uint64_t>(head.data() + 8, span.checkpoint.out);
  head[16] = std::byte{span.checkpoint.bits};
  const uint64_t at = kHeaderSize + uint64_t{count_} * kEntrySize;
  pwrite_all(file_, at, head, name_);
  pwrite_all(file_, at + head.size(), span.window, name_);
  ++count_;
}

void ZinfoWriter::finish() {
  std::array<std::byte, kHeaderSize> header;
  store_le<uint32_t>(header.data(), count_);
  store_le<uint64_t>(header.data() + 4, span_size_);
  pwrite_all(file_, 0, header, name_);
}

}  // namespace erofs_oci
