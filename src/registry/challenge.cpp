// SPDX-License-Identifier: Apache-2.0
#include "registry/challenge.h"

#include <algorithm>

namespace erofs_oci::registry {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

// A cursor over the field; each function takes what it names, or nothing (RFC 9110, 5.6 and 11.2).
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  void skip(std::string_view any_of) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(any_of), rest_.size()));
  }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string token() {
    const size_t end = std::min(rest_.find_first_of(" \t,=\""), rest_.size());
    const std::string out(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return out;
  }
  std::string value() { return take('"') ? rest_of_quoted() : token(); }

  /// What follows is "name=…", not the next scheme.
  bool at_parameter() const {
    const size_t end = rest_.find_first_of(" \t,=\"");
    if (end == 0 || end == std::string_view::npos) return false;
    const size_t next = rest_.find_first_not_of(" \t", end);
    return next != std::string_view::npos && rest_[next] == '=';
  }

 private:
  std::string rest_of_quoted() {
    std::string out;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') break;
      if (c == '\\' && !rest_.empty()) {
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      out += c;
    }
    return out;
  }
  std::string_view rest_;
};

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view field) {
  std::vector<Challenge> challenges;
  Scanner scan(field);
  for (scan.skip(" \t,"); !scan.at_end(); scan.skip(" \t,")) {
    if (scan.at_parameter()) {
      const std::string name = lower(scan.token());
      scan.skip(" \t");
      scan.take('=');
      scan.skip(" \t");
      const std::string value = scan.value();
      if (!challenges.empty()) challenges.back().parameters.emplace(name, value);
    } else {
      const std::string scheme = lower(scan.token());
      if (scheme.empty()) break;
      challenges.push_back({scheme, {}});
    }
  }
  return challenges;
}

}  // namespace erofs_oci::registry
