// SPDX-License-Identifier: Apache-2.0
// The golden layer against the list of its entries, which find(1) wrote of the tree it was made from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <memory>

#include "tar/archive.h"

namespace erofs_oci {
namespace {

std::string without_dot_slash(const std::string& path) {
  return path.starts_with("./") ? path.substr(2) : path;
}

/// The members of tests/data/layer.tar.gz by path, "./" and the slash of directories left out.
std::map<std::string, TarMember> read_layer() {
  std::map<std::string, TarMember> members;
  TarReader reader([&](TarMember&& member) {
    std::string path = without_dot_slash(member.path);
    if (path.ends_with('/')) path.pop_back();
    members[path] = std::move(member);
  });
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen("gzip -dc '" TEST_DATA_DIR "/layer.tar.gz'", "r"),
                                                   ::pclose);
  char buffer[10'000];
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, pipe.get()))
    reader.feed(as_bytes({buffer, count}));
  reader.finish();
  return members;
}

/// A line of the list, "PATH|TYPE|MODE|UID|GID|SIZE|LINKS|TARGET|TIME", without the number of links, which no
/// archive says. Sizes are those of files and links; find gives fractions of seconds ten digits.
std::string list_line(const std::string& path, const TarMember& member) {
  const uint64_t size = member.type == TarType::symlink ? member.link.size() : member.size;
  const std::string target = member.type == TarType::symlink ? member.link : "";
  return fmt::format("{}|{}|{:o}|{}|{}|{}|{}|{}.{:09}0", path, "f-lcbdp"[static_cast<size_t>(member.type)],
                     member.permissions, member.uid, member.gid, member.type == TarType::directory ? 0 : size,
                     target, member.mtime, member.mtime_nanoseconds);
}

/// A line of layer.list in the form of list_line().
std::string expected_line(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) c == '|' ? fields.emplace_back().clear() : fields.back().push_back(c);
  if (fields.size() != 9) return "not a line of layer.list: " + line;
  if (fields[1] == "d") fields[5] = "0";
  return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}", fields[0], fields[1], fields[2], fields[3], fields[4],
                     fields[5], fields[7], fields[8]);
}

TEST(GoldenLayer, EqualsItsList) {
  const std::map<std::string, TarMember> members = read_layer();
  std::vector<std::string> found;
  for (const auto& [path, member] : members) {
    if (path == ".") continue;
    const bool hard_link = member.type == TarType::hard_link;
    found.push_back(list_line(path, hard_link ? members.at(without_dot_slash(member.link)) : member));
  }
  std::vector<std::string> expected;
  std::ifstream list(TEST_DATA_DIR "/layer.list");
  for (std::string line; std::getline(list, line);) expected.push_back(expected_line(line));
  EXPECT_GT(expected.size(), 100u);
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(expected));
}

}  // namespace
}  // namespace erofs_oci
