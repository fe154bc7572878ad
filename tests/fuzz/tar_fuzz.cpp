// SPDX-License-Identifier: Apache-2.0
// TarReader on any bytes: the first one says in which pieces the rest is fed. What is told must keep
// member.h's promises and must not depend on the pieces.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "tar/header.h"
#include "tar/reader.h"

namespace erofs_oci {
namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void check(const TarMember& member) {
  require(!member.path.empty(), "a member has a path");
  require(member.path.find('\0') == std::string::npos, "a path has no NUL");
  require(member.link.find('\0') == std::string::npos, "a link has no NUL");
  require(member.mtime_nanoseconds < 1'000'000'000, "nanoseconds are below a second");
  require(member.type == TarType::regular || (member.size == 0 && member.data.empty()),
          "only files have data");
  uint64_t end = 0;
  for (const TarData& data : member.data) {
    require(data.length > 0 && data.file_offset >= end, "data are sorted and not empty");
    require(data.file_offset <= member.size && data.length <= member.size - data.file_offset,
            "data lie in the file");
    require(data.archive_offset >= member.header_offset + kTarBlock, "data stand behind their header");
    end = data.file_offset + data.length;
  }
  for (size_t i = 1; i < member.xattrs.size(); ++i) {
    require(member.xattrs[i - 1].name < member.xattrs[i].name, "xattrs are sorted, each name once");
  }
}

/// A header whose checksum field says "fuzz" gets its right one, which no fuzzer finds by itself.
std::string with_checksums(std::string archive) {
  for (size_t at = 0; at + kTarBlock <= archive.size(); at += kTarBlock) {
    if (archive.compare(at + 148, 4, "fuzz") != 0) continue;
    archive.replace(at + 148, 8, 8, ' ');
    unsigned sum = 0;
    for (size_t i = 0; i < kTarBlock; ++i) sum += static_cast<unsigned char>(archive[at + i]);
    char digits[9];
    std::snprintf(digits, sizeof digits, "%07o", sum);
    archive.replace(at + 148, 7, digits, 7);
  }
  return archive;
}

struct Result {
  std::vector<TarMember> members;
  std::string error;
  friend bool operator==(const Result&, const Result&) = default;
};

Result read(std::string_view archive, size_t piece) {
  Result result;
  TarReader reader([&](TarMember&& member) { result.members.push_back(std::move(member)); });
  try {
    for (size_t at = 0; at < archive.size(); at += piece) reader.feed(as_bytes(archive.substr(at, piece)));
    reader.finish();
  } catch (const Error& error) {
    result.error = error.what();
  }
  require(reader.end_of_members() % kTarBlock == 0, "members end at a block");
  return result;
}

}  // namespace
}  // namespace erofs_oci

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace erofs_oci;
  if (size == 0) return 0;
  const std::string archive = with_checksums({reinterpret_cast<const char*>(bytes) + 1, size - 1});
  const Result whole = read(archive, SIZE_MAX / 2);
  for (const TarMember& member : whole.members) check(member);
  const size_t piece = bytes[0] < 128 ? bytes[0] + size_t{1} : (bytes[0] - size_t{127}) * 37;
  require(read(archive, piece) == whole, "pieces make no difference");
  return 0;
}
