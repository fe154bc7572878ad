// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cstring>
#include <iosfwd>
#include <string>
#include <utility>

namespace erofs_oci {

/// A password, a token, or text that holds one. It cannot be formatted, streamed or compared by accident, and
/// its memory is wiped when it is released.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : value_(other.value_) { other.wipe(); }
  Secret& operator=(Secret other) noexcept {
    value_.swap(other.value_);
    return *this;
  }
  ~Secret() { wipe(); }

  bool empty() const { return value_.empty(); }
  /// The text itself: for the wire and for nothing else.
  const std::string& reveal() const { return value_; }

 private:
  void wipe() noexcept {
    value_.resize(
        value_.capacity());  // never allocates; reaches what a moved-from or shortened text left behind
    ::explicit_bzero(value_.data(), value_.size());
    value_.clear();
  }
  std::string value_;
};

std::ostream& operator<<(std::ostream&, const Secret&) = delete;

}  // namespace erofs_oci

template <>
struct fmt::formatter<erofs_oci::Secret> {
  formatter() = delete;
};
