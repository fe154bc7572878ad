// SPDX-License-Identifier: Apache-2.0
#include "erofs/tree_walk.h"

#include <sys/stat.h>

#include <algorithm>
#include <cassert>

#include "erofs/ondisk.h"

namespace erofs_oci::erofs {
namespace {

constexpr NodeId kUnreached = UINT32_MAX;

const std::string& name_of(const Node& directory, NodeId child) {
  const auto& children = directory.children;
  return std::find_if(children.begin(), children.end(),
                      [&](const auto& entry) { return entry.second == child; })
      ->first;
}

}  // namespace

TreeWalk::TreeWalk(const Tree& tree)
    : tree_(tree), parents_(tree.nodes.size(), kUnreached), links_(tree.nodes.size()) {
  if (tree.nodes.empty() || !S_ISDIR(tree.nodes[0].mode)) {
    throw make_error(ErrorKind::invalid, "the root of a file tree is not a directory");
  }
  parents_[0] = 0;
  links_[0] = 2;
  order_.push_back(0);
  // A stack of its own: trees may be deeper than the thread's.
  std::vector<NodeId> directories{0};
  std::vector<NodeId> found;
  while (!directories.empty()) {
    const NodeId directory = directories.back();
    directories.pop_back();
    found.clear();
    for (const auto& [name, child] : tree.nodes[directory].children)
      visit_entry(directory, name, child, found);
    directories.insert(directories.end(), found.rbegin(), found.rend());
  }
}

void TreeWalk::visit_entry(NodeId directory, const std::string& name, NodeId child,
                           std::vector<NodeId>& found) {
  assert(child < tree_.nodes.size());
  check_name(directory, name);
  const bool is_directory = S_ISDIR(tree_.nodes[child].mode);
  const bool is_new = parents_[child] == kUnreached;
  if (is_directory && !is_new) {
    throw unsupported(directory, fmt::format("its entry '{}' is a second name of a directory", name));
  }
  if (is_new) {
    parents_[child] = directory;
    order_.push_back(child);
  }
  if (is_directory) {
    found.push_back(child);
    links_[child] = 2;
    ++links_[directory];
  } else {
    ++links_[child];
  }
}

void TreeWalk::check_name(NodeId directory, const std::string& name) const {
  if (name.size() > kMaxName) {
    throw unsupported(directory, fmt::format("a name in it has {} bytes, and EROFS takes {}: {}", name.size(),
                                             kMaxName, name));
  }
  if (name.empty() || name == "." || name == ".." || name.find_first_of({"/\0", 2}) != std::string::npos) {
    throw unsupported(directory, fmt::format("no file in it can have the name '{}'", name));
  }
}

std::string TreeWalk::path(NodeId node) const {
  std::vector<const std::string*> names;
  for (; node != 0; node = parents_[node]) names.push_back(&name_of(tree_.nodes[parents_[node]], node));
  if (names.empty()) return "/";
  std::string path;
  for (auto name = names.rbegin(); name != names.rend(); ++name) path.append("/").append(**name);
  return path;
}

Error TreeWalk::unsupported(NodeId node, const std::string& what) const {
  return make_error(ErrorKind::unsupported, "{}: {}", path(node), what);
}

}  // namespace erofs_oci::erofs
