// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tar/header.h"
#include "tar/reader.h"

namespace erofs_oci {

/// Fields of a header block as text, each written from the first byte of its place.
struct Fields {
  std::string name = "file";
  char type = '0';
  std::string size = "0";
  std::string mode = "644";
  std::string uid = "0";
  std::string gid = "0";
  std::string mtime = "0";
  std::string link = "";
  std::string major = "0";
  std::string minor = "0";
  std::string prefix = "";
  std::string magic = std::string("ustar\00000", 8);
};

inline const std::string kGnuMagicText{"ustar  ", 8};

/// Writes the checksum that `block` needs.
inline void sign(std::string& block) {
  block.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  block.replace(148, 7, digits, 7);
}

inline std::string header(const Fields& fields) {
  std::string block(kTarBlock, '\0');
  const auto put = [&](size_t offset, const std::string& text) { block.replace(offset, text.size(), text); };
  put(0, fields.name);
  put(100, fields.mode);
  put(108, fields.uid);
  put(116, fields.gid);
  put(124, fields.size);
  put(136, fields.mtime);
  block[156] = fields.type;
  put(157, fields.link);
  put(257, fields.magic);
  put(329, fields.major);
  put(337, fields.minor);
  put(345, fields.prefix);
  sign(block);
  return block;
}

inline std::string octal(uint64_t value) {
  return fmt::format("{:o}", value);
}

/// A number as GNU writes one that does not fit in octal.
inline std::string base256(int64_t value, size_t width = 12) {
  std::string field(width, value < 0 ? '\xff' : '\0');
  for (size_t i = 0; i < 8 && i < width; ++i) field[width - 1 - i] = static_cast<char>(value >> (8 * i));
  field[0] = static_cast<char>(field[0] | '\x80');
  return field;
}

inline std::string padded(std::string data) {
  data.resize(round_up(data.size(), kTarBlock), '\0');
  return data;
}

/// A member and its data.
inline std::string member(Fields fields, const std::string& data = "") {
  if (!data.empty()) fields.size = octal(data.size());
  return header(fields) + padded(data);
}

inline std::string end_blocks() {
  return std::string(2 * kTarBlock, '\0');
}

using Records = std::vector<std::pair<std::string, std::string>>;

inline std::string pax_record(const std::string& key, const std::string& value) {
  const std::string body = " " + key + "=" + value + "\n";
  size_t length = body.size() + 1;
  while (std::to_string(length).size() + body.size() != length) ++length;
  return std::to_string(length) + body;
}

/// A PAX header of type 'x' or 'g'.
inline std::string pax(const Records& records, char type = 'x') {
  std::string text;
  for (const auto& [key, value] : records) text += pax_record(key, value);
  return member({.name = "PaxHeaders/file", .type = type}, text);
}

/// A GNU long name, type 'L', or long link, type 'K'.
inline std::string gnu_long(char type, const std::string& text) {
  return member({.name = "././@LongLink", .type = type, .magic = kGnuMagicText}, text + '\0');
}

/// All members of `archive`, which is fed in pieces of `piece` bytes.
inline std::vector<TarMember> read_archive(const std::string& archive, size_t piece = SIZE_MAX) {
  std::vector<TarMember> members;
  TarReader reader([&](TarMember&& found) { members.push_back(std::move(found)); });
  for (size_t at = 0; at < archive.size(); at += std::min(piece, archive.size() - at)) {
    reader.feed(as_bytes(std::string_view(archive).substr(at, piece)));
  }
  reader.finish();
  return members;
}

/// The only member of `archive`.
inline TarMember read_one(const std::string& archive) {
  std::vector<TarMember> members = read_archive(archive);
  if (members.size() != 1) throw make_error(ErrorKind::invalid, "{} members instead of one", members.size());
  return std::move(members[0]);
}

/// "KIND: sentence" of the Error that reading `archive` ends with; "none".
inline std::string failure(const std::string& archive) {
  try {
    read_archive(archive);
  } catch (const Error& error) {
    return fmt::format("{}: {}", to_string(error.kind()), error.what());
  }
  return "none";
}

}  // namespace erofs_oci
