// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "erofs/tree_testing.h"

namespace erofs_oci::erofs::testing {

/// One of each: types, owners, times, links, names around "." and "..".
inline Tree varied_tree() {
  Tree tree = empty_tree();
  const NodeId usr = add_directory(tree, 0, "usr");
  const NodeId file = add_file(tree, usr, "file", 5000, {{0, 8192, 5000}});
  tree.nodes[usr].children["link"] = file;
  tree.nodes[0].children["another"] = file;
  add_file(tree, usr, "empty");
  for (const char* name : {"!", "-", ".a", ".,", "...", "..a", "\xff", "\x01"}) add_file(tree, usr, name);
  add_symlink(tree, usr, "symlink", "../somewhere");
  add_special(tree, usr, "tty", S_IFCHR | 0620, 4, 70000);
  add_special(tree, usr, "disk", S_IFBLK | 0660, 259, 3);
  add_special(tree, usr, "pipe", S_IFIFO | 0600);
  add_special(tree, usr, "socket", S_IFSOCK | 0600);
  add_directory(tree, usr, "nothing");
  tree.nodes[file].uid = 100'000;
  tree.nodes[usr].gid = UINT16_MAX;
  tree.nodes[usr].mtime = -5;
  tree.nodes[usr].mtime_nanoseconds = 999'999'999;
  tree.nodes[usr].mode = S_IFDIR | 01777;
  return tree;
}

/// An ACL as the kernel keeps it: version 2; rw for the owner, r for user 1000 and all others.
inline std::string acl() {
  using namespace std::string_literals;
  return "\2\0\0\0"
         "\1\0\6\0\xff\xff\xff\xff"
         "\2\0\4\0\xe8\3\0\0"
         "\4\0\4\0\xff\xff\xff\xff"
         "\x10\0\4\0\xff\xff\xff\xff"
         "\x20\0\4\0\xff\xff\xff\xff"s;
}

/// A file capability of version 2, as the kernel keeps it.
inline std::string capability() {
  using namespace std::string_literals;
  return "\1\0\0\2"s + std::string(16, '\0');
}

/// Xattrs of all namespaces on files, a directory, a symlink and a device; some of them shared.
inline Tree tree_with_xattrs() {
  const Xattr label{"security.selinux", "system_u:object_r:usr_t:s0"};
  Tree tree = empty_tree();
  const uint32_t common = add_xattrs(tree, {label});
  const uint32_t both = add_xattrs(tree, {label, {"user.own", "x"}});
  const uint32_t rare = add_xattrs(tree, {{"security.capability", capability()},
                                          {"system.posix_acl_access", acl()},
                                          {"system.posix_acl_default", acl()},
                                          {"trusted.overlay.opaque", "y"},
                                          {"user.empty", ""},
                                          {"user.large", std::string(5000, 'x')}});
  for (int i = 0; i < 500; ++i) {
    tree.nodes[add_file(tree, 0, std::to_string(i))].xattrs = i % 7 == 0 ? both : common;
  }
  tree.nodes[0].xattrs = common;
  tree.nodes[add_directory(tree, 0, "directory")].xattrs = rare;
  tree.nodes[add_symlink(tree, 0, "symlink", "target")].xattrs = common;
  tree.nodes[add_special(tree, 0, "device", S_IFCHR | 0600, 1, 3)].xattrs = common;
  return tree;
}

/// Directories and symlinks whose content fills up to several blocks, of each size modulo a small block.
inline Tree tree_of_many_sizes() {
  Tree tree = empty_tree();
  for (int i = 0; i < 200; ++i) {
    const NodeId directory = add_directory(tree, 0, fmt::format("directory{}", i));
    for (int name = 0; name < i; ++name) add_file(tree, directory, fmt::format("{:0{}}", name, 3 + i % 40));
  }
  for (size_t size = 1; size <= 4095; size += size < 600 ? 1 : 13) {
    add_symlink(tree, 0, fmt::format("symlink{}", size), std::string(size, 'x'));
  }
  return tree;
}

/// Files with holes, for a tarindex; their data area is `kSparseData` bytes.
constexpr uint64_t kSparseData = 64 * kKiB;
inline Tree sparse_tree() {
  Tree tree = empty_tree();
  add_file(tree, 0, "hole", 10'000);
  add_file(tree, 0, "huge hole", uint64_t{1} << 45);
  add_file(tree, 0, "in front", 8200, {{8192, 512, 8}});
  add_file(tree, 0, "behind", 100'000, {{0, 1024, 4096}});
  add_file(tree, 0, "inside", 9000, {{0, 8192, 4096}, {8192, 20480, 808}});
  add_file(tree, 0, "fine", 2048, {{512, 512, 512}, {1536, 30720, 512}});
  add_file(tree, 0, "odd size", 12'345, {{0, 40'960, 12'345}});
  return tree;
}

}  // namespace erofs_oci::erofs::testing
