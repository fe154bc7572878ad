// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "erofs/reader.h"
#include "erofs/tree.h"
#include "erofs/writer.h"

namespace erofs_oci::erofs::testing {

constexpr int64_t kEpoch = 1'000'000'000;

inline Node node_of_mode(uint16_t mode) {
  return {.mode = mode, .mtime = kEpoch};
}

inline Tree empty_tree() {
  Tree tree;
  tree.nodes.push_back(node_of_mode(S_IFDIR | 0755));
  return tree;
}

/// Adds `node` to directory `parent`; gives its number.
inline NodeId add(Tree& tree, NodeId parent, const std::string& name, Node node) {
  const auto id = static_cast<NodeId>(tree.nodes.size());
  tree.nodes.push_back(std::move(node));
  tree.nodes[parent].children[name] = id;
  return id;
}

inline NodeId add_directory(Tree& tree, NodeId parent, const std::string& name) {
  return add(tree, parent, name, node_of_mode(S_IFDIR | 0755));
}

inline NodeId add_file(Tree& tree, NodeId parent, const std::string& name, uint64_t size = 0,
                       std::vector<FileData> data = {}) {
  Node file = node_of_mode(S_IFREG | 0644);
  file.size = size;
  file.data = std::move(data);
  return add(tree, parent, name, std::move(file));
}

inline NodeId add_symlink(Tree& tree, NodeId parent, const std::string& name, const std::string& target) {
  Node symlink = node_of_mode(S_IFLNK | 0777);
  symlink.target = target;
  return add(tree, parent, name, std::move(symlink));
}

inline NodeId add_special(Tree& tree, NodeId parent, const std::string& name, uint16_t mode,
                          uint32_t major = 0, uint32_t minor = 0) {
  Node node = node_of_mode(mode);
  node.device_major = major;
  node.device_minor = minor;
  return add(tree, parent, name, std::move(node));
}

/// The number of a set of xattrs for Node::xattrs.
inline uint32_t add_xattrs(Tree& tree, std::vector<Xattr> xattrs) {
  tree.xattr_sets.push_back(std::move(xattrs));
  return static_cast<uint32_t>(tree.xattr_sets.size() - 1);
}

inline WriteOptions image_options(uint64_t data_size = 0) {
  return {.data_size = data_size, .epoch = kEpoch};
}

inline WriteOptions tarindex_options(uint64_t data_size = kGiB) {
  return {.block_size = 512, .data_area = DataArea::extra_device, .data_size = data_size, .epoch = kEpoch};
}

inline std::string write_metadata(const Tree& tree, const WriteOptions& options) {
  const Writer writer(tree, options);
  std::string metadata;
  writer.write([&](Bytes piece) { metadata += as_text(piece); });
  EXPECT_EQ(metadata.size(), writer.metadata_size());
  return metadata;
}

/// `metadata` must stay.
inline Reader reader_of(const std::string& metadata) {
  return Reader("image", metadata.size(), [&metadata](uint64_t offset, MutableBytes out) {
    std::memcpy(out.data(), metadata.data() + offset, out.size());
  });
}

/// The inode at a path such as "a/b".
inline Inode find(const Reader& reader, const std::string& path) {
  Inode inode = reader.inode(reader.super().root_nid);
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    uint64_t nid = 0;
    reader.list(inode, [&](const Entry& entry) { return entry.name != name || (nid = entry.nid, false); });
    EXPECT_NE(nid, 0u) << path;
    inode = reader.inode(nid);
    begin = end + 1;
  }
  return inode;
}

/// An inode as a node without children. `data_begin` is what the addresses of its data count from.
inline Node node_of(const Reader& reader, const Inode& inode, uint64_t data_begin) {
  Node node{.mode = inode.mode, .uid = inode.uid, .gid = inode.gid};
  node.mtime = inode.mtime;
  node.mtime_nanoseconds = inode.mtime_nanoseconds;
  if (S_ISLNK(inode.mode)) node.target = reader.symlink_target(inode);
  if (S_ISCHR(inode.mode) || S_ISBLK(inode.mode)) {
    node.device_major = inode.u >> 8 & 0xfff;
    node.device_minor = (inode.u & 0xff) | (inode.u >> 12 & 0xfff00);
  }
  if (!S_ISREG(inode.mode)) return node;
  node.size = inode.size;
  node.data = reader.data(inode);
  for (FileData& data : node.data) data.address -= data_begin;
  return node;
}

/// The tree that an image holds. Checks what the Reader does not look at: types, ".", "..", order and links.
class TreeReader {
 public:
  TreeReader(const Reader& reader, uint64_t data_begin) : reader_(reader), data_begin_(data_begin) {}

  Tree read() {
    const uint64_t root = reader_.super().root_nid;
    enter(root, root);
    while (!directories_.empty()) {
      const auto [directory, parent] = directories_.back();
      directories_.pop_back();
      read_directory(directory, parent);
    }
    for (const auto& [nid, id] : ids_) {
      const Inode inode = reader_.inode(nid);
      EXPECT_TRUE(S_ISDIR(inode.mode) || inode.nlink == links_[id]) << nid;
    }
    EXPECT_EQ(tree_.nodes.size(), reader_.super().inodes);
    return std::move(tree_);
  }

 private:
  NodeId enter(uint64_t nid, uint64_t parent) {
    const auto [at, is_new] = ids_.emplace(nid, static_cast<NodeId>(tree_.nodes.size()));
    if (is_new) {
      const Inode inode = reader_.inode(nid);
      Node node = node_of(reader_, inode, data_begin_);
      node.xattrs = add_xattrs(tree_, reader_.xattrs(inode));
      tree_.nodes.push_back(std::move(node));
      if (S_ISDIR(inode.mode)) directories_.emplace_back(nid, parent);
    }
    ++links_[at->second];
    return at->second;
  }

  void read_directory(uint64_t nid, uint64_t parent) {
    const Inode inode = reader_.inode(nid);
    std::string last;
    uint32_t links = 0;
    reader_.list(inode, [&](const Entry& entry) {
      EXPECT_LT(last, entry.name);
      last = entry.name;
      const bool is_directory = S_ISDIR(reader_.inode(entry.nid).mode);
      if (is_directory && entry.name != "..") ++links;
      if (entry.name == ".") {
        EXPECT_EQ(entry.nid, nid);
      } else if (entry.name == "..") {
        ++links;
        EXPECT_EQ(entry.nid, parent);
      } else {
        const NodeId child = enter(entry.nid, nid);
        tree_.nodes[ids_.at(nid)].children.emplace(entry.name, child);
      }
      return true;
    });
    EXPECT_EQ(links, inode.nlink);
  }

  const Reader& reader_;
  uint64_t data_begin_;
  Tree tree_;
  std::map<uint64_t, NodeId> ids_;
  std::map<NodeId, uint32_t> links_;
  std::vector<std::pair<uint64_t, uint64_t>> directories_;
};

inline Tree read_tree(const Reader& reader, uint64_t data_begin = 0) {
  return TreeReader(reader, data_begin).read();
}

/// Lines that say all of a tree that an image keeps, to compare two of them.
class Listing {
 public:
  explicit Listing(const Tree& tree) : tree_(tree) {}

  std::vector<std::string> lines() {
    std::vector<std::pair<std::string, NodeId>> directories{{"", 0}};
    describe("/", 0);
    while (!directories.empty()) {
      const auto [path, directory] = directories.back();
      directories.pop_back();
      for (const auto& [name, child] : tree_.nodes[directory].children) {
        describe(path + "/" + name, child);
        if (S_ISDIR(tree_.nodes[child].mode)) directories.emplace_back(path + "/" + name, child);
      }
    }
    std::sort(lines_.begin(), lines_.end());
    return lines_;
  }

 private:
  void describe(const std::string& path, NodeId id) {
    const Node& node = tree_.nodes[id];
    const auto& first = first_names_.emplace(id, path).first->second;
    std::string line = fmt::format("{} {:o} {}:{} {}.{:09}", path, node.mode, node.uid, node.gid, node.mtime,
                                   node.mtime_nanoseconds);
    if (S_ISREG(node.mode)) line += fmt::format(" {} bytes", node.size);
    for (const FileData& data : node.data) {
      line += fmt::format(" [{}+{}]={}", data.file_offset, data.length, data.address);
    }
    if (S_ISLNK(node.mode)) line += " -> " + node.target;
    if (node.device_major + node.device_minor > 0) {
      line += fmt::format(" {},{}", node.device_major, node.device_minor);
    }
    for (const auto& [name, value] : tree_.xattr_sets[node.xattrs]) line += " " + name + "=" + value;
    lines_.push_back(first == path ? line : path + " = " + first);
  }

  const Tree& tree_;
  std::map<NodeId, std::string> first_names_;
  std::vector<std::string> lines_;
};

inline std::vector<std::string> listing(const Tree& tree) {
  return Listing(tree).lines();
}

/// The error that writing the tree gives; empty for none.
inline std::string refusal(const Tree& tree, const WriteOptions& options) {
  try {
    const Writer writer(tree, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported) << error.what();
    return error.what();
  }
  return "";
}

}  // namespace erofs_oci::erofs::testing
