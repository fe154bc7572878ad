// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace erofs_oci::http {

struct Header {
  std::string name;
  std::string value;
};

/// Header fields in the order of their arrival; names compare without case (RFC 9110, 5.1).
class Headers {
 public:
  void add(std::string name, std::string value);
  /// Adds the field of a raw header line, "Name: value\r\n"; a line without a colon is passed over.
  void add_line(std::string_view line);

  /// The first value of the field `name`.
  std::optional<std::string_view> find(std::string_view name) const;
  /// All its values, in order: WWW-Authenticate may come several times.
  std::vector<std::string_view> find_all(std::string_view name) const;
  /// The field as a decimal number; nullopt where it is absent or anything else.
  std::optional<uint64_t> find_number(std::string_view name) const;

 private:
  std::vector<Header> fields_;
};

/// How long a Retry-After field asks to wait, given as seconds or as a date (RFC 9110, 10.2.3). Never
/// negative.
std::optional<std::chrono::seconds> retry_after(const Headers& headers,
                                                std::chrono::system_clock::time_point now);

}  // namespace erofs_oci::http
