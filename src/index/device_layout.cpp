// SPDX-License-Identifier: Apache-2.0
#include "index/device_layout.h"

#include <sys/stat.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "base/bytes.h"
#include "base/error.h"

namespace erofs_oci {
namespace {

using erofs::NodeId;

/// EROFS counts blocks in 32 bits; with 4 KiB ones that is 16 TiB, holes included.
constexpr uint64_t kMaxBlocks = UINT32_MAX;

/// Between metadata and data, as zeros: who reads the tree is read ahead by the kernel, which would go on into the first
/// layer and have it fetched. Two times the default of read_ahead (erofs-oci.toml(5)), as the kernel is up to two windows ahead.
constexpr uint64_t kGap = 2 * kMiB;

/// The regular files with a size that names lead to.
std::vector<NodeId> reachable_files(const erofs::Tree& tree) {
  std::vector<bool> seen(tree.nodes.size());
  std::vector<NodeId> files;
  std::vector<NodeId> directories{0};
  while (!directories.empty()) {
    const auto& children = tree.nodes[directories.back()].children;
    directories.pop_back();
    for (const auto& [name, id] : children) {
      if (seen[id]) continue;
      seen[id] = true;
      const erofs::Node& node = tree.nodes[id];
      if (S_ISDIR(node.mode)) directories.push_back(id);
      if (S_ISREG(node.mode) && node.size != 0) files.push_back(id);
    }
  }
  return files;
}

uint64_t stream_offset(const erofs::Node& node) {
  return node.data.empty() ? 0 : node.data.front().address;
}

void place_file(erofs::Node& node, uint32_t layer, DeviceLayout& layout, uint64_t block_size) {
  node.address = layout.data_size;
  for (erofs::FileData& data : node.data) {
    const uint64_t device_offset = node.address + data.file_offset;
    layout.extents.push_back({.device_offset = device_offset,
                              .target_offset = data.address,
                              .length = data.length,
                              .target = layer});
    data.address = device_offset;
  }
  const uint64_t left = kMaxBlocks * block_size - layout.data_size;
  if (node.size > round_down(left, block_size)) {
    throw make_error(ErrorKind::unsupported,
                     "files of more than {} TiB together, holes included, do not fit in an EROFS image",
                     kMaxBlocks * block_size >> 40);
  }
  layout.data_size += round_up(node.size, block_size);
}

}  // namespace

DeviceLayout lay_out_data(LayerMerger& merged, uint64_t block_size) {
  erofs::Tree& tree = merged.tree();
  std::vector<NodeId> files = reachable_files(tree);
  const auto place_in_layers = [&](NodeId id) {
    return std::tuple(merged.layer_of(id), stream_offset(tree.nodes[id]), id);
  };
  std::ranges::sort(files, {}, place_in_layers);
  DeviceLayout layout;
  if (!files.empty()) layout.data_size = kGap;
  layout.extents.reserve(files.size());
  for (const NodeId id : files) place_file(tree.nodes[id], merged.layer_of(id), layout, block_size);
  return layout;
}

int64_t most_common_mtime(const erofs::Tree& tree) {
  std::unordered_map<int64_t, size_t> counts;
  for (const erofs::Node& node : tree.nodes) {
    if (node.mtime_nanoseconds == 0) ++counts[node.mtime];
  }
  const auto most = std::ranges::max_element(counts, [](const auto& left, const auto& right) {
    return std::tuple(left.second, right.first) < std::tuple(right.second, left.first);
  });
  return most == counts.end() ? 0 : most->first;
}

}  // namespace erofs_oci
