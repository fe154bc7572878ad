// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <zlib.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace erofs_oci::testing {

/// zlib's own inflate of a gzip file of any number of members: the judge of ours.
inline std::vector<std::byte> gunzip_with_zlib(Bytes data) {
  std::vector<std::byte> out;
  std::vector<std::byte> buffer(1 << 20);
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) throw std::runtime_error("inflateInit2");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    const int status = inflate(&stream, Z_NO_FLUSH);
    out.insert(out.end(), buffer.begin(), buffer.end() - stream.avail_out);
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0 || *stream.next_in == 0) break;
      inflateReset(&stream);
    } else if (status != Z_OK) {
      throw std::runtime_error("inflate: " + std::to_string(status));
    }
  }
  inflateEnd(&stream);
  return out;
}

/// `data` as one gzip member; `name` adds an FNAME field.
inline std::vector<std::byte> gzip(Bytes data, const char* name = nullptr) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  gz_header header{};
  header.name = reinterpret_cast<Bytef*>(const_cast<char*>(name));
  if (name != nullptr) deflateSetHeader(&stream, &header);
  std::vector<std::byte> out(deflateBound(&stream, data.size()) + 256);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace erofs_oci::testing
