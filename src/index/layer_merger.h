// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "erofs/tree.h"
#include "tar/member.h"

namespace erofs_oci {

/// What becomes of a layer's whiteouts (OCI image-spec, layer.md, "Whiteouts").
enum class Whiteouts {
  apply,    ///< they hide what lower layers have, and vanish
  keep,     ///< they stay files named .wh.*
  overlay,  ///< they become what overlayfs takes: character devices 0:0, trusted.overlay.opaque
};

/// Puts the layers of an image on each other, lowest first, as container engines unpack them. Paths are
/// resolved inside the image: a symlink among a member's parents is followed, ".." does not leave the root.
/// One thread at a time.
class LayerMerger {
 public:
  explicit LayerMerger(Whiteouts whiteouts) : whiteouts_(whiteouts) { tree_.nodes.push_back(directory()); }

  /// Uses `members` up. Their data is noted with addresses in the layer's stream. Error corrupt or
  /// unsupported, naming the member, for what cannot be represented.
  void add_layer(std::deque<TarMember> members);

  /// What was left out, in sentences; bounded.
  const std::vector<std::string>& notes() const { return notes_; }
  const erofs::Tree& tree() const { return tree_; }
  erofs::Tree& tree() { return tree_; }
  /// The layer, counted from 0, that node `id` is of.
  uint32_t layer_of(erofs::NodeId id) const { return layer_of_[id]; }

 private:
  struct Place {
    erofs::NodeId parent;
    std::string name;  // empty: the root itself
  };

  static erofs::Node directory();
  void apply_whiteouts(const std::deque<TarMember>& members);
  void hide(const Place& place);
  void hide_children(erofs::NodeId directory);
  void add(TarMember& member);
  bool add_hard_link(const TarMember& member);
  void put(const Place& place, TarMember& member);
  void turn_into_overlay(TarMember& member) const;

  Place place_of(std::string_view path, bool create);
  bool descend(std::vector<erofs::NodeId>& trail, std::deque<std::string>& rest, bool create, size_t& links);
  erofs::NodeId make_directory(erofs::NodeId parent, const std::string& name);
  const erofs::NodeId* find(const Place& place) const;

  erofs::NodeId new_node(erofs::Node node);
  void fill(erofs::Node& node, TarMember& member);
  uint32_t xattrs_of(TarMember& member);
  void note(std::string sentence);

  const Whiteouts whiteouts_;
  erofs::Tree tree_;
  std::vector<uint32_t> layer_of_{0};
  uint32_t layer_ = 0;
  uint32_t layers_ = 0;
  std::map<std::vector<erofs::Xattr>, uint32_t> xattr_sets_;
  std::vector<std::string> notes_;
};

}  // namespace erofs_oci
