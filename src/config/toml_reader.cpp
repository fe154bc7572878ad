// SPDX-License-Identifier: Apache-2.0
// The only file that knows toml11, and that 3.x and 4.x differ in includes, errors and lines.
#include "config/toml_reader.h"

#include <algorithm>
#include <sstream>
#include <toml.hpp>

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

[[noreturn]] void refuse(std::string_view file_name, size_t line, std::string_view sentence) {
  throw make_error(ErrorKind::invalid, "{}:{}: {}", file_name, line, sentence);
}

/// "toml::insert_value: value (\"a\") already exists." without the name of the function.
std::string reason(std::string_view title) {
  for (const std::string_view prefix : {"[error] ", "toml::"}) {
    if (title.starts_with(prefix)) title.remove_prefix(prefix.size());
  }
  title = title.substr(0, title.find('\n'));
  if (title.find("already") != std::string_view::npos) return "this key or section is given twice";
  if (const size_t colon = title.find(": "); colon != std::string_view::npos) title.remove_prefix(colon + 2);
  while (title.ends_with('.')) title.remove_suffix(1);
  return "not valid TOML: " + printable(title);
}

#if defined(TOML11_VERSION_MAJOR) && TOML11_VERSION_MAJOR >= 4

uint32_t line_of(const toml::value& value) {
  return static_cast<uint32_t>(value.location().first_line_number());
}

toml::value parse(const std::string& text, std::string_view file_name) {
  std::istringstream stream(text);
  auto parsed = toml::try_parse(stream, std::string(file_name));
  if (parsed.is_ok()) return std::move(parsed.unwrap());
  const auto& first = parsed.unwrap_err().at(0);
  const size_t line = first.locations().empty() ? 1 : first.locations()[0].first.first_line_number();
  refuse(file_name, line, reason(first.title()));
}

#else

uint32_t line_of(const toml::value& value) {
  return value.location().line();
}

toml::value parse(const std::string& text, std::string_view file_name) {
  std::istringstream stream(text);
  try {
    return toml::parse(stream, std::string(file_name));
  } catch (const toml::exception& error) {
    refuse(file_name, error.location().line(), reason(error.what()));
  }
}

#endif

/// Refuses bytes that no TOML may hold. On '#', such a byte, a line's end and '#', toml11 4.4 never returns.
void check_characters(std::string_view text, std::string_view file_name) {
  size_t bad = find_invalid_utf8(text).value_or(text.size());
  for (size_t i = 0; i < bad; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool line_end = c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    if ((c < 0x20 && c != '\t' && !line_end) || c == 0x7f) bad = i;
  }
  if (bad == text.size()) return;
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(bad), '\n');
  refuse(file_name, static_cast<size_t>(line), "a control character, or bytes that are not UTF-8");
}

/// Refuses what would overflow the parser's stack. Strings end with their line, so that a mistake in one line
/// cannot hide the next from this scan.
class DepthGuard {
 public:
  explicit DepthGuard(std::string_view file_name) : file_name_(file_name) {}

  void scan(std::string_view text) {
    for (size_t start = 0; start < text.size(); ++line_) {
      const size_t end = std::min(text.find('\n', start), text.size());
      scan_line(text.substr(start, end - start));
      start = end + 1;
    }
  }

 private:
  void scan_line(std::string_view line) {
    size_t dots = 0;
    for (size_t i = 0; i < line.size() && line[i] != '#'; ++i) {
      const char c = line[i];
      if (c == '"' || c == '\'') {
        i = end_of_string(line, i);
      } else if (c == '[' || c == '{') {
        ++depth_;
      } else if ((c == ']' || c == '}') && depth_ > 0) {
        --depth_;
      } else if (c == '.') {
        ++dots;
      }
      if (std::max(depth_, dots) > kMaxTomlDepth) {
        refuse(file_name_, line_, fmt::format("nested more than {} levels deep", kMaxTomlDepth));
      }
    }
  }

  size_t end_of_string(std::string_view line, size_t start) const {
    const char quote = line[start];
    if (line.substr(start, 3) == std::string(3, quote)) {
      refuse(file_name_, line_, "multi-line strings are not taken here: write the value in one line");
    }
    for (size_t i = start + 1; i < line.size(); ++i) {
      if (line[i] == '\\' && quote == '"') {
        ++i;
      } else if (line[i] == quote) {
        return i;
      }
    }
    return line.size();
  }

  std::string_view file_name_;
  size_t line_ = 1;
  size_t depth_ = 0;
};

class Flattener {
 public:
  explicit Flattener(std::string_view file_name) : document_{std::string(file_name), {}} {}

  Document run(const toml::value& root) {
    add_table(root, "");
    std::stable_sort(document_.entries.begin(), document_.entries.end(),
                     [](const Entry& a, const Entry& b) { return a.line < b.line; });
    return std::move(document_);
  }

 private:
  void add_table(const toml::value& table, const std::string& prefix) {
    for (const auto& [name, value] : table.as_table()) {
      if (document_.entries.size() == kMaxTomlEntries) {
        throw make_error(ErrorKind::invalid, "{}: has more than {} keys", document_.name, kMaxTomlEntries);
      }
      const uint32_t line = line_of(value);
      document_.entries.push_back({entry_key(prefix, name), to_json(value, line), line});
      if (value.is_table()) add_table(value, document_.entries.back().key + ".");
    }
  }

  nlohmann::json to_json(const toml::value& value, uint32_t line) const {
    if (value.is_boolean()) return value.as_boolean();
    if (value.is_integer()) return static_cast<int64_t>(value.as_integer());
    if (value.is_floating()) return value.as_floating();
    if (value.is_string()) return static_cast<const std::string&>(value.as_string());
    if (value.is_table()) return nlohmann::json::object();
    if (!value.is_array()) refuse(document_.name, line, "dates and times are not taken by any key");
    nlohmann::json array = nlohmann::json::array();
    for (const toml::value& element : value.as_array()) array.push_back(to_json(element, line));
    return array;
  }

  Document document_;
};

}  // namespace

Document read_toml(std::string_view text, std::string_view file_name) {
  if (text.size() > kMaxTomlBytes) {
    throw make_error(ErrorKind::invalid, "{}: is larger than {}", file_name, human_size(kMaxTomlBytes));
  }
  check_characters(text, file_name);
  DepthGuard(file_name).scan(text);
  return Flattener(file_name).run(parse(std::string(text), file_name));
}

}  // namespace erofs_oci
