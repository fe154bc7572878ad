// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>
#include <sys/stat.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "index/layer_merger.h"

namespace erofs_oci::testing {

inline TarMember entry(TarType type, std::string path, uint16_t permissions) {
  TarMember member;
  member.type = type;
  member.path = std::move(path);
  member.permissions = permissions;
  return member;
}

inline TarMember file(std::string path, uint64_t size = 0) {
  TarMember member = entry(TarType::regular, std::move(path), 0644);
  member.size = size;
  if (size > 0) member.data = {{0, 512, size}};
  return member;
}

inline TarMember dir(std::string path, uint16_t permissions = 0755) {
  return entry(TarType::directory, std::move(path), permissions);
}

inline TarMember symlink(std::string path, std::string target) {
  TarMember member = entry(TarType::symlink, std::move(path), 0777);
  member.link = std::move(target);
  return member;
}

inline TarMember hard_link(std::string path, std::string target) {
  TarMember member = entry(TarType::hard_link, std::move(path), 0644);
  member.link = std::move(target);
  return member;
}

using Layers = std::vector<std::vector<TarMember>>;

inline LayerMerger merge(const Layers& layers, Whiteouts whiteouts = Whiteouts::apply) {
  LayerMerger merged(whiteouts);
  for (const auto& layer : layers) merged.add_layer({layer.begin(), layer.end()});
  return merged;
}

/// "KIND: sentence" of the Error that merging gives; "none".
inline std::string merge_failure(const Layers& layers) {
  try {
    merge(layers);
  } catch (const Error& error) {
    return fmt::format("{}: {}", to_string(error.kind()), error.what());
  }
  return "none";
}

/// A line for each entry below the root, sorted: "d/" a directory, "b = a" another name of a file.
class MergedListing {
 public:
  MergedListing(const erofs::Tree& tree, bool details) : tree_(tree), details_(details) { list(0, ""); }
  std::vector<std::string> lines() && { return std::move(lines_); }

 private:
  void list(erofs::NodeId directory, const std::string& prefix) {
    for (const auto& [name, id] : tree_.nodes[directory].children) {
      const std::string path = prefix + name;
      const bool is_directory = S_ISDIR(tree_.nodes[id].mode);
      const auto [first, fresh] = first_names_.emplace(id, path);
      lines_.push_back(fresh ? path + (is_directory ? "/" : "") + describe(tree_.nodes[id])
                             : path + " = " + first->second);
      if (is_directory) list(id, path + "/");
    }
  }

  std::string describe(const erofs::Node& node) const {
    if (!details_) return "";
    std::string line = fmt::format(" {:o}", node.mode & 07777);
    if (node.uid + node.gid > 0) line += fmt::format(" {}:{}", node.uid, node.gid);
    if (node.mtime != 0) line += fmt::format(" @{}", node.mtime);
    if (S_ISREG(node.mode)) line += fmt::format(" {} bytes", node.size);
    if (S_ISLNK(node.mode)) line += " -> " + node.target;
    if (S_ISCHR(node.mode)) line += fmt::format(" {},{} char", node.device_major, node.device_minor);
    for (const auto& [name, value] : tree_.xattr_sets[node.xattrs]) line += " " + name + "=" + value;
    return line;
  }

  const erofs::Tree& tree_;
  const bool details_;
  std::map<erofs::NodeId, std::string> first_names_;
  std::vector<std::string> lines_;
};

inline std::vector<std::string> listing(const LayerMerger& merged) {
  return MergedListing(merged.tree(), true).lines();
}
inline std::vector<std::string> paths(const LayerMerger& merged) {
  return MergedListing(merged.tree(), false).lines();
}
inline std::vector<std::string> paths(const Layers& layers) {
  return paths(merge(layers));
}

}  // namespace erofs_oci::testing
