// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "erofs/tree.h"

namespace erofs_oci::erofs::testing {

/// A directory on disk as a tree. Each regular file gets room in one data area, at a block's begin, in the
/// tree's order; `files` says what belongs there.
class DirectoryTree {
 public:
  struct File {
    std::string path;
    uint64_t address;
    uint64_t size;
  };

  DirectoryTree(const std::string& path, uint32_t block_size) : block_size_(block_size) {
    std::vector<std::pair<NodeId, std::string>> directories{{enter(path), path}};
    while (!directories.empty()) {
      const auto [directory, folder] = directories.back();
      directories.pop_back();
      for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const NodeId child = enter(entry.path());
        tree_.nodes[directory].children[entry.path().filename()] = child;
        if (S_ISDIR(tree_.nodes[child].mode)) directories.emplace_back(child, entry.path());
      }
    }
  }

  const Tree& tree() const { return tree_; }
  const std::vector<File>& files() const { return files_; }
  uint64_t data_size() const { return data_size_; }

 private:
  NodeId enter(const std::string& path) {
    struct stat status;
    if (::lstat(path.c_str(), &status) != 0) throw errno_error("{}", path);
    const auto next = static_cast<NodeId>(tree_.nodes.size());
    const auto [at, is_new] = inodes_.emplace(std::pair(status.st_dev, status.st_ino), next);
    if (!is_new) return at->second;
    Node node{.mode = static_cast<uint16_t>(status.st_mode), .uid = status.st_uid, .gid = status.st_gid};
    node.mtime = status.st_mtim.tv_sec;
    node.mtime_nanoseconds = static_cast<uint32_t>(status.st_mtim.tv_nsec);
    node.xattrs = xattrs_of(path);
    if (S_ISLNK(status.st_mode)) node.target = std::filesystem::read_symlink(path);
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
      node.device_major = major(status.st_rdev);
      node.device_minor = minor(status.st_rdev);
    }
    if (S_ISREG(status.st_mode)) give_room(path, static_cast<uint64_t>(status.st_size), node);
    tree_.nodes.push_back(std::move(node));
    return next;
  }

  void give_room(const std::string& path, uint64_t size, Node& node) {
    node.size = size;
    if (size == 0) return;
    node.data = {{0, data_size_, size}};
    files_.push_back({path, data_size_, size});
    data_size_ += (size + block_size_ - 1) / block_size_ * block_size_;
  }

  uint32_t xattrs_of(const std::string& path) {
    std::string names(64 * 1024, '\0');
    names.resize(
        static_cast<size_t>(std::max<ssize_t>(0, ::llistxattr(path.c_str(), names.data(), names.size()))));
    std::vector<Xattr> xattrs;
    for (size_t at = 0; at < names.size();) {
      const std::string name = names.c_str() + at;
      at += name.size() + 1;
      std::string value(64 * 1024, '\0');
      const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
      if (size >= 0) xattrs.push_back({name, value.substr(0, static_cast<size_t>(size))});
    }
    std::sort(xattrs.begin(), xattrs.end());
    const auto [at, is_new] = sets_.emplace(xattrs, static_cast<uint32_t>(tree_.xattr_sets.size()));
    if (xattrs.empty()) return 0;
    if (is_new) tree_.xattr_sets.push_back(xattrs);
    return at->second;
  }

  uint32_t block_size_;
  Tree tree_;
  std::vector<File> files_;
  uint64_t data_size_ = 0;
  std::map<std::pair<dev_t, ino_t>, NodeId> inodes_;
  std::map<std::vector<Xattr>, uint32_t> sets_;
};

}  // namespace erofs_oci::erofs::testing
