// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "erofs/tree.h"

namespace erofs_oci::erofs {

/// The nodes that the root reaches, in an order that keeps what is read together close together: all entries
/// of a directory in a row, and a subtree before what follows it.
class TreeWalk {
 public:
  /// Throws Error unsupported, naming the path, for names and links that a directory cannot hold. `tree` must
  /// outlive the walk.
  explicit TreeWalk(const Tree& tree);

  const std::vector<NodeId>& order() const { return order_; }
  /// Of a directory its parent, the root's being itself; of other nodes the directory that was first found to
  /// name them.
  NodeId parent(NodeId node) const { return parents_[node]; }
  /// Of a directory 2 and its subdirectories, of other nodes the names that lead to them.
  uint32_t links(NodeId node) const { return links_[node]; }

  /// "/usr/bin/env"; of several names the first.
  std::string path(NodeId node) const;

  /// Error unsupported about a node, with its path in front.
  Error unsupported(NodeId node, const std::string& what) const;

 private:
  void visit_entry(NodeId directory, const std::string& name, NodeId child, std::vector<NodeId>& found);
  void check_name(NodeId directory, const std::string& name) const;

  const Tree& tree_;
  std::vector<NodeId> order_;
  std::vector<NodeId> parents_;
  std::vector<uint32_t> links_;
};

}  // namespace erofs_oci::erofs
