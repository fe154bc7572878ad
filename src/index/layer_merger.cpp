// SPDX-License-Identifier: Apache-2.0
#include "index/layer_merger.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

using erofs::Node;
using erofs::NodeId;

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kReserved = ".wh..wh.";  // aufs' own files; engines leave them out
constexpr std::string_view kOverlayOpaque = "trusted.overlay.opaque";
/// Without it overlayfs shows the whiteouts of a directory that no other layer has (erofs-utils sets it too).
constexpr std::string_view kOverlayOrigin = "trusted.overlay.origin";
constexpr size_t kMaxLinks = 40;  // path_resolution(7)
constexpr size_t kMaxNotes = 20;

bool is_directory(const Node& node) {
  return S_ISDIR(node.mode);
}

uint16_t type_bits(TarType type) {
  switch (type) {
    case TarType::symlink:
      return S_IFLNK;
    case TarType::character_device:
      return S_IFCHR;
    case TarType::block_device:
      return S_IFBLK;
    case TarType::directory:
      return S_IFDIR;
    case TarType::fifo:
      return S_IFIFO;
    case TarType::regular:
    case TarType::hard_link:
      break;
  }
  return S_IFREG;
}

std::vector<std::string> components_of(std::string_view path) {
  std::vector<std::string> components;
  while (!path.empty()) {
    const std::string_view component = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), component.size() + 1));
    if (!component.empty() && component != ".") components.emplace_back(component);
  }
  return components;
}

/// With each ".." taken off together with what stands before it, whatever that is: as engines do
/// (filepath.Clean), before they look at the filesystem.
std::deque<std::string> clean_components(std::string_view path) {
  std::deque<std::string> clean;
  for (std::string& component : components_of(path)) {
    if (component != "..") {
      clean.push_back(std::move(component));
    } else if (!clean.empty()) {
      clean.pop_back();
    }
  }
  return clean;
}

Error refusal(ErrorKind kind, const TarMember& member, std::string_view why) {
  return make_error(kind, "member '{}' {}", printable(member.path), why);
}

}  // namespace

Node LayerMerger::directory() {
  Node node;
  node.mode = S_IFDIR | 0755;
  return node;
}

void LayerMerger::add_layer(std::deque<TarMember> members) {
  layer_ = layers_++;
  linked_.clear();
  std::deque<TarMember> waiting;  // hard links that stand before what they lead to
  for (; !members.empty(); members.pop_front()) {
    TarMember& member = members.front();
    ++member_count_;
    if (std::max(member.path.size(), member.link.size()) > kMaxPath) {
      throw refusal(ErrorKind::unsupported, member,
                    fmt::format("has a path or link of more than {} bytes", kMaxPath));
    }
    if (take_whiteout(member)) continue;
    if (member.type != TarType::hard_link) {
      add(member);
    } else if (!add_hard_link(member)) {
      waiting.push_back(std::move(member));
    }
  }
  for (const TarMember& member : waiting) {
    if (add_hard_link(member)) continue;
    throw refusal(ErrorKind::corrupt, member,
                  fmt::format("is a hard link to '{}', which neither this layer nor a lower one has",
                              printable(member.link)));
  }
  finish_overlay();
}

/// False for what is a file of the image. Only names count: AUFS made whiteouts of hard links.
bool LayerMerger::take_whiteout(TarMember& member) {
  if (whiteouts_ == Whiteouts::keep || member.path.find(kWhiteout) == std::string::npos) return false;
  const std::deque<std::string> path = clean_components(member.path);
  if (path.empty()) return false;
  const std::string& last = path.back();
  if (last != kOpaque && (last.starts_with(kReserved) || path.front().starts_with(kReserved))) return true;
  if (!last.starts_with(kWhiteout)) return false;
  const std::string name = last.substr(kWhiteout.size());
  if (name.empty() || name == "." || name == "..")
    throw refusal(ErrorKind::corrupt, member, "is a whiteout that names nothing");
  if (whiteouts_ == Whiteouts::overlay) {
    keep_for_overlay(member, name);
  } else if (auto place = place_of(member.path, Parents::must_exist)) {
    if (last == kOpaque) {
      hide_children(place->parent);
    } else {
      hide({place->parent, name});
    }
  }
  return true;
}

void LayerMerger::keep_for_overlay(TarMember& member, std::string_view name) {
  Place place = place_to_put(member);
  if (place.name == kOpaque) return opaque_.push_back(place.parent);
  place.name = name;
  member.type = TarType::character_device;
  member.permissions = 0;
  member.device_major = member.device_minor = 0;
  member.data.clear();
  hidden_.emplace_back(std::move(place), std::move(member));
}

/// A directory that its own layer hides and has is one that hides what is below it; of other entries of that
/// kind only the entry is left, since it hides by itself.
void LayerMerger::finish_overlay() {
  for (auto& [place, member] : hidden_) {
    const NodeId* const existing = find(place);
    if (existing == nullptr) {
      put(place, member);
      set_xattr(place.parent, {std::string(kOverlayOrigin), ""});
    } else if (is_directory(tree_.nodes[*existing])) {
      opaque_.push_back(*existing);
    }
  }
  for (const NodeId id : opaque_) set_xattr(id, {std::string(kOverlayOpaque), "y"});
  hidden_.clear();
  opaque_.clear();
}

void LayerMerger::set_xattr(NodeId id, erofs::Xattr xattr) {
  Node& node = tree_.nodes[id];
  std::vector<erofs::Xattr> set = tree_.xattr_sets[node.xattrs];
  std::erase_if(set, [&](const erofs::Xattr& old) { return old.name == xattr.name; });
  set.push_back(std::move(xattr));
  std::ranges::sort(set);
  node.xattrs = intern(std::move(set));
}

/// Whiteouts never hide what their own layer has, wherever in the archive they stand (layer.md, "Whiteouts").
void LayerMerger::hide(const Place& place) {
  const NodeId* const found = find(place);
  if (found == nullptr) return;
  if (!is_of_this_layer(place, *found)) {
    tree_.nodes[place.parent].children.erase(place.name);
  } else if (is_directory(tree_.nodes[*found])) {
    forget_lower(*found);
    hide_children(*found);
  }
}

void LayerMerger::hide_children(NodeId top) {
  std::vector<NodeId> directories{top};
  while (!directories.empty()) {
    const NodeId id = directories.back();
    directories.pop_back();
    if (std::exchange(origins_[id].bare, layer_ + 1) == layer_ + 1) continue;
    std::erase_if(tree_.nodes[id].children, [&](const auto& entry) {
      if (!is_of_this_layer({id, entry.first}, entry.second)) return true;
      if (!is_directory(tree_.nodes[entry.second])) return false;
      forget_lower(entry.second);
      directories.push_back(entry.second);
      return false;
    });
  }
}

/// A hidden directory that this layer only has entries in is a new one.
void LayerMerger::forget_lower(NodeId directory) {
  if (origins_[directory].layer == layer_) return;
  origins_[directory].layer = layer_;
  auto children = std::move(tree_.nodes[directory].children);
  tree_.nodes[directory] = LayerMerger::directory();
  tree_.nodes[directory].children = std::move(children);
}

bool LayerMerger::is_of_this_layer(const Place& place, NodeId id) const {
  if (is_directory(tree_.nodes[id])) return origins_[id].touched == layer_ + 1;
  return origins_[id].layer == layer_ || linked_.contains({place.parent, place.name});
}

void LayerMerger::add(TarMember& member) {
  put(place_to_put(member), member);
}

/// False where the target is not there, or not yet. The metadata are the target's: engines set those of the
/// link's own header, which archivers make the same.
bool LayerMerger::add_hard_link(const TarMember& member) {
  const auto target = place_of(member.link, Parents::must_exist);
  const NodeId* const found = target ? find(*target) : nullptr;
  if (found == nullptr) return false;
  const NodeId id = *found;
  if (is_directory(tree_.nodes[id])) {
    throw refusal(ErrorKind::corrupt, member,
                  fmt::format("is a hard link to '{}', which is a directory", printable(member.link)));
  }
  const Place place = place_to_put(member);
  if (place.name.empty()) throw refusal(ErrorKind::corrupt, member, "would replace the root directory");
  tree_.nodes[place.parent].children.insert_or_assign(place.name, id);
  if (origins_[id].layer != layer_) linked_.emplace(place.parent, place.name);
  return true;
}

void LayerMerger::put(const Place& place, TarMember& member) {
  const bool directory = member.type == TarType::directory;
  const NodeId* const existing = find(place);
  if (existing != nullptr && directory && is_directory(tree_.nodes[*existing])) {
    origins_[*existing].layer = layer_;
    origins_[*existing].touched = layer_ + 1;
    return fill(tree_.nodes[*existing], member);  // what is in it stays
  }
  if (place.name.empty()) throw refusal(ErrorKind::corrupt, member, "would replace the root directory");
  Node node;
  fill(node, member);
  const NodeId id = new_node(std::move(node));
  tree_.nodes[place.parent].children.insert_or_assign(place.name, id);
}

const NodeId* LayerMerger::find(const Place& place) const {
  static constexpr NodeId kRoot = 0;
  if (place.name.empty()) return &kRoot;
  const auto& children = tree_.nodes[place.parent].children;
  const auto found = children.find(place.name);
  return found == children.end() ? nullptr : &found->second;
}

/// Where `path` leads, its last component not followed; nullopt where a parent is no directory or, where it
/// must exist, does not.
std::optional<LayerMerger::Place> LayerMerger::place_of(std::string_view path, Parents parents) {
  std::deque<std::string> rest = clean_components(path);
  if (rest.empty()) return Place{0, ""};
  std::string name = std::move(rest.back());
  rest.pop_back();
  std::vector<NodeId> trail{0};  // from the root to the directory reached
  for (size_t links = 0; !rest.empty();) {
    if (!descend(trail, rest, parents, links)) return std::nullopt;
  }
  if (parents == Parents::create) {
    for (const NodeId id : trail) origins_[id].touched = layer_ + 1;
  }
  return Place{trail.back(), std::move(name)};
}

LayerMerger::Place LayerMerger::place_to_put(const TarMember& member) {
  if (auto place = place_of(member.path, Parents::create)) return std::move(*place);
  throw refusal(ErrorKind::corrupt, member,
                "has among its parents what is no directory, or a loop of symlinks");
}

/// Goes down by the first of the components in `rest`; false where it cannot.
bool LayerMerger::descend(std::vector<NodeId>& trail, std::deque<std::string>& rest, Parents parents,
                          size_t& links) {
  const std::string name = std::move(rest.front());
  rest.pop_front();
  if (name == "..") {  // of a symlink's target
    if (trail.size() > 1) trail.pop_back();
    return true;
  }
  const auto& children = tree_.nodes[trail.back()].children;
  const auto found = children.find(name);
  if (found == children.end()) {
    if (parents == Parents::create) trail.push_back(make_directory(trail.back(), name));
    return parents == Parents::create;
  }
  const Node& node = tree_.nodes[found->second];
  if (is_directory(node)) {
    trail.push_back(found->second);
    return true;
  }
  if (!S_ISLNK(node.mode) || ++links > kMaxLinks) return false;
  if (node.target.starts_with('/')) trail.resize(1);
  auto target = components_of(node.target);
  rest.insert(rest.begin(), std::move_iterator(target.begin()), std::move_iterator(target.end()));
  return true;
}

/// An entry without its parents among the members: they get what mkdir gives, and no time.
NodeId LayerMerger::make_directory(NodeId parent, const std::string& name) {
  if (++implied_ > kMaxImplied + kMaxImpliedPerMember * member_count_) {
    throw make_error(ErrorKind::unsupported,
                     "members' paths imply more than {} directories that are not in the archives",
                     implied_ - 1);
  }
  const NodeId id = new_node(directory());
  tree_.nodes[parent].children.emplace(name, id);
  return id;
}

NodeId LayerMerger::new_node(Node node) {
  tree_.nodes.push_back(std::move(node));
  origins_.push_back({.layer = layer_, .touched = layer_ + 1, .bare = 0});
  return static_cast<NodeId>(tree_.nodes.size() - 1);
}

void LayerMerger::fill(Node& node, TarMember& member) {
  node.mode = static_cast<uint16_t>(type_bits(member.type) | member.permissions);
  node.uid = member.uid;
  node.gid = member.gid;
  node.device_major = member.device_major;
  node.device_minor = member.device_minor;
  node.mtime = member.mtime;
  node.mtime_nanoseconds = member.mtime_nanoseconds;
  node.xattrs = xattrs_of(member);
  if (member.type == TarType::symlink) node.target = std::move(member.link);
  if (member.type != TarType::regular) return;
  node.size = member.size;
  node.data.reserve(member.data.size());
  for (const TarData& data : member.data)
    node.data.push_back({data.file_offset, data.archive_offset, data.length});
}

uint32_t LayerMerger::xattrs_of(TarMember& member) {
  if (member.has_acl) {
    note(fmt::format("'{}': its ACL is left out: archives hold them with names in place of numbers",
                     printable(member.path)));
  }
  if (member.xattrs.empty()) return 0;
  std::vector<erofs::Xattr> set;
  for (TarXattr& xattr : member.xattrs) {
    if (erofs::can_store_xattr(xattr.name, xattr.value)) {
      set.push_back({std::move(xattr.name), std::move(xattr.value)});
    } else {
      note(fmt::format("'{}': its attribute {} is left out: Linux has no such namespace, or it is too long",
                       printable(member.path), printable(xattr.name)));
    }
  }
  return set.empty() ? 0 : intern(std::move(set));
}

/// The number of a set that is not empty.
uint32_t LayerMerger::intern(std::vector<erofs::Xattr> set) {
  const auto [found, fresh] = xattr_sets_.try_emplace(set, static_cast<uint32_t>(tree_.xattr_sets.size()));
  if (fresh) tree_.xattr_sets.push_back(std::move(set));
  return found->second;
}

void LayerMerger::note(std::string sentence) {
  if (notes_.size() < kMaxNotes) {
    notes_.push_back(std::move(sentence));
  } else if (notes_.size() == kMaxNotes) {
    notes_.emplace_back("and more of the kind");
  }
}

}  // namespace erofs_oci
