// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/file.h"
#include "base/unique_fd.h"

namespace erofs_oci::fuzz {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

/// Takes an input apart; what it no longer has is zeros.
class Input {
 public:
  Input(const uint8_t* bytes, size_t size) : left_(reinterpret_cast<const char*>(bytes), size) {}

  template <typename T>
  T number() {
    T value{};
    const std::string_view bytes = text(sizeof value);
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(&value));
    return value;
  }
  std::string_view text(size_t size) {
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest() { return text(left_.size()); }

 private:
  std::string_view left_;
};

inline UniqueFd file_of(std::string_view bytes) {
  UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
  write_all(file.get(), as_bytes(bytes), "fuzz");
  return file;
}

}  // namespace erofs_oci::fuzz
