// SPDX-License-Identifier: Apache-2.0
#include "tar/pax.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

struct Record {
  std::string_view key;
  std::string_view value;
  size_t length;  // of the whole record
};

[[noreturn]] void refuse(const Record& record, std::string_view what) {
  throw make_error(ErrorKind::corrupt, "PAX record {}={} {}", printable(record.key, 80),
                   printable(record.value, 80), what);
}

/// The record that `text` begins with: "LENGTH KEY=VALUE\n", where LENGTH counts all of it.
Record first_record(std::string_view text) {
  const auto refuse_all = [&](std::string_view what) {
    throw make_error(ErrorKind::corrupt, "PAX records {} at '{}'", what, printable(text, 40));
  };
  const size_t space = text.substr(0, 20).find(' ');
  const auto length = parse_u64(text.substr(0, space));
  if (space == std::string_view::npos || !length) refuse_all("have no length");
  if (*length > text.size() || *length < space + 2) refuse_all("have a wrong length");
  if (text[*length - 1] != '\n') refuse_all("do not end in a newline");
  const std::string_view body = text.substr(space + 1, *length - space - 2);
  const size_t equals = body.find('=');
  if (equals == std::string_view::npos || equals == 0) refuse_all("have no key");
  return {body.substr(0, equals), body.substr(equals + 1), *length};
}

int64_t signed_number(const Record& record) {
  const std::string_view text = record.value;
  int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size())
    refuse(record, "is no number within 64 bits");
  return value;
}

uint64_t number(const Record& record) {
  const int64_t value = signed_number(record);
  if (value < 0) refuse(record, "is negative");
  return static_cast<uint64_t>(value);
}

TarTime time_value(const Record& record) {
  const auto value = parse_pax_time(record.value);
  if (!value) refuse(record, "is no time within 64 bits of seconds");
  return *value;
}

std::string text_value(const Record& record) {
  if (record.value.find('\0') != std::string_view::npos) refuse(record, "holds a NUL");
  return std::string(record.value);
}

template <typename T, typename Parse>
void set(std::optional<T>& field, const Record& record, Parse parse) {
  if (record.value.empty()) {
    field.reset();
  } else {
    field = parse(record);
  }
}

/// Format 0.0 has a record for each offset and one for each length, in turn.
void set_sparse_offset(PaxSparse& sparse, const Record& record) {
  if (sparse.offset) refuse(record, "follows an offset without length");
  sparse.offset = number(record);
}
void set_sparse_length(PaxSparse& sparse, const Record& record) {
  if (!sparse.offset) refuse(record, "follows no offset");
  sparse.map.add(*sparse.offset, number(record));
  sparse.offset.reset();
}

struct Setter {
  std::string_view key;
  void (*apply)(PaxFields&, const Record&);
};

constexpr std::array<Setter, 17> kSetters{{
    {"path", [](PaxFields& f, const Record& r) { set(f.path, r, text_value); }},
    {"linkpath", [](PaxFields& f, const Record& r) { set(f.link, r, text_value); }},
    {"size", [](PaxFields& f, const Record& r) { set(f.size, r, number); }},
    {"uid", [](PaxFields& f, const Record& r) { set(f.uid, r, signed_number); }},
    {"gid", [](PaxFields& f, const Record& r) { set(f.gid, r, signed_number); }},
    {"mtime", [](PaxFields& f, const Record& r) { set(f.mtime, r, time_value); }},
    {"SCHILY.devmajor", [](PaxFields& f, const Record& r) { set(f.device_major, r, signed_number); }},
    {"SCHILY.devminor", [](PaxFields& f, const Record& r) { set(f.device_minor, r, signed_number); }},
    {"GNU.sparse.name", [](PaxFields& f, const Record& r) { set(f.sparse.name, r, text_value); }},
    {"GNU.sparse.major", [](PaxFields& f, const Record& r) { set(f.sparse.major, r, number); }},
    {"GNU.sparse.minor", [](PaxFields& f, const Record& r) { set(f.sparse.minor, r, number); }},
    {"GNU.sparse.size", [](PaxFields& f, const Record& r) { set(f.sparse.real_size, r, number); }},
    {"GNU.sparse.realsize", [](PaxFields& f, const Record& r) { set(f.sparse.real_size, r, number); }},
    {"GNU.sparse.numblocks", [](PaxFields& f, const Record& r) { set(f.sparse.range_count, r, number); }},
    {"GNU.sparse.map", [](PaxFields& f, const Record& r) { f.sparse.map = parse_sparse_list(r.value); }},
    {"GNU.sparse.offset", [](PaxFields& f, const Record& r) { set_sparse_offset(f.sparse, r); }},
    {"GNU.sparse.numbytes", [](PaxFields& f, const Record& r) { set_sparse_length(f.sparse, r); }},
}};

constexpr std::string_view kXattr = "SCHILY.xattr.";
constexpr std::string_view kLibarchiveXattr = "LIBARCHIVE.xattr.";
constexpr std::string_view kAcl = "SCHILY.acl.";

void set_xattr(std::map<std::string, std::string>& xattrs, std::string name, std::string value,
               const Record& record) {
  if (name.empty() || name.find('\0') != std::string::npos) refuse(record, "names no attribute");
  const bool take_back = value.empty() && xattrs.erase(name) > 0;
  if (!take_back) xattrs[std::move(name)] = std::move(value);
}

void set_libarchive_xattr(PaxFields& fields, const Record& record) {
  auto value = decode_base64(record.value);
  if (!value) refuse(record, "is not in base 64");
  set_xattr(fields.libarchive_xattrs, decode_percent(record.key.substr(kLibarchiveXattr.size())),
            std::move(*value), record);
}

void apply_record(PaxFields& fields, const Record& record) {
  const auto setter = std::ranges::find(kSetters, record.key, &Setter::key);
  if (setter != kSetters.end()) {
    setter->apply(fields, record);
  } else if (record.key.starts_with(kXattr)) {
    set_xattr(fields.xattrs, std::string(record.key.substr(kXattr.size())), std::string(record.value),
              record);
  } else if (record.key.starts_with(kLibarchiveXattr)) {
    set_libarchive_xattr(fields, record);
  } else if (record.key.starts_with(kAcl)) {
    fields.has_acl |= !record.value.empty();
  }
}

}  // namespace

void PaxSparse::check() const {
  const uint64_t format = major.value_or(0) * 10 + minor.value_or(0);
  const bool known = major.value_or(0) <= 1 && minor.value_or(0) <= 1 && format <= 10;
  if (!known) {
    throw make_error(ErrorKind::unsupported,
                     "it is sparse in GNU's PAX format {}.{}; 0.0, 0.1 and 1.0 are read", major.value_or(0),
                     minor.value_or(0));
  }
  if (!real_size) throw Error(ErrorKind::corrupt, "its records of a sparse file do not say its size");
  if (!map_is_in_data() && range_count.value_or(map.count()) != map.count()) {
    throw make_error(ErrorKind::corrupt, "it has {} sparse ranges instead of {}", map.count(), *range_count);
  }
}

void PaxFields::apply(std::string_view records) {
  while (!records.empty()) {
    const Record record = first_record(records);
    apply_record(*this, record);
    records.remove_prefix(record.length);
  }
  if (sparse.offset)
    throw Error(ErrorKind::corrupt, "PAX records of a sparse file end with an offset without length");
}

size_t PaxFields::text_size() const {
  size_t total = (path ? path->size() : 0) + (link ? link->size() : 0);
  for (const auto* all : {&xattrs, &libarchive_xattrs}) {
    for (const auto& [name, value] : *all) total += name.size() + value.size();
  }
  return total;
}

}  // namespace erofs_oci
