// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
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
  overlay,  ///< they become what overlayfs takes: character devices 0:0, trusted.overlay.*
};

/// Puts the layers of an image on each other, lowest first, as container engines unpack them. Paths are
/// resolved inside the image: ".." is taken off a member's path before anything else and does not leave the
/// root, then symlinks among its parents are followed. One thread at a time.
class LayerMerger {
 public:
  /// Of a member's path and link: PATH_MAX without its NUL, which is what engines can unpack.
  static constexpr size_t kMaxPath = 4095;
  /// So many parents may be implied by members' paths alone, and some more for each member.
  static constexpr uint64_t kMaxImplied = 1 << 20;
  static constexpr uint64_t kMaxImpliedPerMember = 16;

  explicit LayerMerger(Whiteouts whiteouts) : whiteouts_(whiteouts) { new_node(directory()); }

  /// Uses `members` up. Their data is noted with addresses in the layer's stream. Error corrupt or
  /// unsupported, naming the member, for what cannot be represented.
  void add_layer(std::deque<TarMember> members);

  /// What was left out, in sentences; bounded.
  const std::vector<std::string>& notes() const { return notes_; }
  const erofs::Tree& tree() const { return tree_; }
  erofs::Tree& tree() { return tree_; }
  /// The layer, counted from 0, that node `id` is of.
  uint32_t layer_of(erofs::NodeId id) const { return origins_[id].layer; }
  /// Members of all layers.
  uint64_t member_count() const { return member_count_; }

 private:
  struct Place {
    erofs::NodeId parent;
    std::string name;  // empty: the root itself
  };
  enum class Parents { must_exist, create };

  /// Where a node comes from. Stamps are numbers of layers, from 1; the layer that is being added has layer_
  /// + 1.
  struct Origin {
    uint32_t layer = 0;
    uint32_t touched = 0;  // of a directory: the latest layer that has it or something in it
    uint32_t bare = 0;     // of a directory: the latest layer that hid what lower ones had in it
  };

  static erofs::Node directory();
  bool take_whiteout(TarMember& member);
  void keep_for_overlay(TarMember& member, std::string_view name);
  void finish_overlay();
  void set_xattr(erofs::NodeId id, erofs::Xattr xattr);
  void hide(const Place& place);
  void hide_children(erofs::NodeId top);
  void forget_lower(erofs::NodeId directory);
  bool is_of_this_layer(const Place& place, erofs::NodeId id) const;

  void add(TarMember& member);
  bool add_hard_link(const TarMember& member);
  void put(const Place& place, TarMember& member);

  std::optional<Place> place_of(std::string_view path, Parents parents);
  Place place_to_put(const TarMember& member);
  bool descend(std::vector<erofs::NodeId>& trail, std::deque<std::string>& rest, Parents parents,
               size_t& links);
  erofs::NodeId make_directory(erofs::NodeId parent, const std::string& name);
  const erofs::NodeId* find(const Place& place) const;

  erofs::NodeId new_node(erofs::Node node);
  void fill(erofs::Node& node, TarMember& member);
  uint32_t xattrs_of(TarMember& member);
  uint32_t intern(std::vector<erofs::Xattr> set);
  void note(std::string sentence);

  const Whiteouts whiteouts_;
  erofs::Tree tree_;
  std::vector<Origin> origins_;
  uint32_t layer_ = 0;
  uint32_t layers_ = 0;
  uint64_t member_count_ = 0;
  uint64_t implied_ = 0;
  std::set<std::pair<erofs::NodeId, std::string>> linked_;  // this layer's names of lower layers' nodes
  std::vector<erofs::NodeId> opaque_;                       // for overlay, until the layer ends
  std::vector<std::pair<Place, TarMember>> hidden_;         // likewise
  std::map<std::vector<erofs::Xattr>, uint32_t> xattr_sets_;
  std::vector<std::string> notes_;
};

}  // namespace erofs_oci
