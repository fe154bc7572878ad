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
constexpr size_t kMaxLinks = 40;                    // path_resolution(7)
constexpr size_t kMaxNotes = 20;

bool is_directory(const Node& node) {
  return S_ISDIR(node.mode);
}

std::string_view last_component(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path.substr(path.rfind('/') + 1);
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

void push_components(std::deque<std::string>& to, std::string_view path) {
  auto at = to.begin();
  while (!path.empty()) {
    const std::string_view component = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), component.size() + 1));
    if (component.empty() || component == ".") continue;
    at = to.insert(at, std::string(component)) + 1;
  }
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
  tree_.nodes.reserve(tree_.nodes.size() + members.size());  // doubling would cost a third of the memory at its peak
  layer_of_.reserve(tree_.nodes.capacity());
  if (whiteouts_ == Whiteouts::apply) apply_whiteouts(members);
  std::deque<TarMember> waiting;  // hard links that stand before what they lead to
  for (; !members.empty(); members.pop_front()) {
    TarMember& member = members.front();
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
}

/// Before anything of the layer is added: whiteouts never hide what their own layer has.
void LayerMerger::apply_whiteouts(const std::deque<TarMember>& members) {
  for (const TarMember& member : members) {
    const std::string_view name = last_component(member.path);
    if (!name.starts_with(kWhiteout)) continue;
    Place place = place_of(member.path, /*create=*/false);
    if (place.name.empty()) continue;  // a parent does not exist: there is nothing to hide
    if (name == kOpaque) {
      hide_children(place.parent);
    } else if (!name.starts_with(kReserved)) {
      place.name.erase(0, kWhiteout.size());
      hide(place);
    }
  }
}

void LayerMerger::hide(const Place& place) {
  tree_.nodes[place.parent].children.erase(place.name);
}
void LayerMerger::hide_children(NodeId directory) {
  tree_.nodes[directory].children.clear();
}

void LayerMerger::add(TarMember& member) {
  const bool whiteout = last_component(member.path).starts_with(kWhiteout);
  if (whiteout && whiteouts_ == Whiteouts::apply) return;
  const Place place = place_of(member.path, /*create=*/true);
  if (whiteout && whiteouts_ == Whiteouts::overlay) {
    if (last_component(member.path) == kOpaque) {
      Node& parent = tree_.nodes[place.parent];
      auto xattrs = tree_.xattr_sets[parent.xattrs];
      TarMember marker;
      for (auto& xattr : xattrs) marker.xattrs.push_back({std::move(xattr.name), std::move(xattr.value)});
      marker.xattrs.push_back({"trusted.overlay.opaque", "y"});
      std::ranges::sort(marker.xattrs);
      parent.xattrs = xattrs_of(marker);
      return;
    }
    turn_into_overlay(member);
    return put({place.parent, place.name.substr(kWhiteout.size())}, member);
  }
  put(place, member);
}

void LayerMerger::turn_into_overlay(TarMember& member) const {
  member.type = TarType::character_device;
  member.device_major = member.device_minor = 0;
  member.data.clear();
  member.size = 0;
}

/// False where the target is not there, or not yet.
bool LayerMerger::add_hard_link(const TarMember& member) {
  const Place target = place_of(member.link, /*create=*/false);
  const NodeId* const found = find(target);
  if (found == nullptr) return false;
  const NodeId id = *found;
  if (is_directory(tree_.nodes[id]))
    throw refusal(ErrorKind::corrupt, member, "is a hard link to a directory");
  const Place place = place_of(member.path, /*create=*/true);
  if (place.name.empty()) throw refusal(ErrorKind::corrupt, member, "would replace the root directory");
  tree_.nodes[place.parent].children.insert_or_assign(place.name, id);
  return true;
}

void LayerMerger::put(const Place& place, TarMember& member) {
  const bool directory = member.type == TarType::directory;
  const NodeId* const existing = find(place);
  if (existing != nullptr && directory && is_directory(tree_.nodes[*existing])) {
    layer_of_[*existing] = layer_;
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

/// Where `path` leads, its last component not followed. Without `create`, a path whose parents do not exist
/// leads to a name that nothing has.
LayerMerger::Place LayerMerger::place_of(std::string_view path, bool create) {
  std::deque<std::string> rest;
  push_components(rest, path);
  std::vector<NodeId> trail{0};  // from the root to the directory reached
  for (size_t links = 0; rest.size() > 1;) {
    if (!descend(trail, rest, create, links)) {
      if (create)
        throw make_error(ErrorKind::corrupt, "member '{}': one of its parents is no directory",
                         printable(path));
      return {0, std::string(1, '\0')};
    }
  }
  if (rest.empty()) return {0, ""};
  if (rest.front() == "..") {
    if (trail.size() == 1) return {0, ""};
    throw make_error(ErrorKind::unsupported, "member '{}': its path ends in '..'", printable(path));
  }
  return {trail.back(), std::move(rest.front())};
}

/// Goes down by the first of the components in `rest`; false where it cannot.
bool LayerMerger::descend(std::vector<NodeId>& trail, std::deque<std::string>& rest, bool create,
                          size_t& links) {
  const std::string name = std::move(rest.front());
  rest.pop_front();
  if (name == "..") {
    if (trail.size() > 1) trail.pop_back();
    return true;
  }
  const auto& children = tree_.nodes[trail.back()].children;
  const auto found = children.find(name);
  if (found == children.end()) {
    if (create) trail.push_back(make_directory(trail.back(), name));
    return create;
  }
  const Node& node = tree_.nodes[found->second];
  if (is_directory(node)) {
    trail.push_back(found->second);
    return true;
  }
  if (!S_ISLNK(node.mode) || ++links > kMaxLinks) return false;
  if (node.target.starts_with('/')) trail.resize(1);
  push_components(rest, node.target);
  return true;
}

/// An entry without its parents among the members: they get what mkdir gives, and no time.
NodeId LayerMerger::make_directory(NodeId parent, const std::string& name) {
  const NodeId id = new_node(directory());
  tree_.nodes[parent].children.emplace(name, id);
  return id;
}

NodeId LayerMerger::new_node(Node node) {
  tree_.nodes.push_back(std::move(node));
  layer_of_.push_back(layer_);
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
  if (set.empty()) return 0;
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
