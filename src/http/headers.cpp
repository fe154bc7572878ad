// SPDX-License-Identifier: Apache-2.0
#include "http/headers.h"

#include <curl/curl.h>
#include <strings.h>

#include <algorithm>

#include "base/text.h"

namespace erofs_oci::http {
namespace {

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

void Headers::add(std::string name, std::string value) {
  fields_.push_back({std::move(name), std::move(value)});
}

void Headers::add_line(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  add(std::string(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1))));
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const Header& field) { return same_name(field.name, name); });
  if (found == fields_.end()) return std::nullopt;
  return found->value;
}

std::vector<std::string_view> Headers::find_all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Header& field : fields_) {
    if (same_name(field.name, name)) values.emplace_back(field.value);
  }
  return values;
}

std::optional<uint64_t> Headers::find_number(std::string_view name) const {
  const auto value = find(name);
  return value ? parse_u64(*value) : std::nullopt;
}

std::optional<std::chrono::seconds> retry_after(const Headers& headers,
                                                std::chrono::system_clock::time_point now) {
  constexpr uint64_t kLongest = 365 * 24 * 3600;  // keeps sums of times far from overflow
  const auto value = headers.find("Retry-After");
  if (!value) return std::nullopt;
  if (const auto seconds = parse_u64(*value)) return std::chrono::seconds(std::min(*seconds, kLongest));
  const time_t date = ::curl_getdate(std::string(*value).c_str(), nullptr);
  if (date < 0) return std::nullopt;
  const auto wait =
      std::chrono::seconds(date) - std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
  return std::clamp(wait, std::chrono::seconds(0), std::chrono::seconds(kLongest));
}

}  // namespace erofs_oci::http
