// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace erofs_oci {
namespace {

using Row = std::array<std::string, 5>;

constexpr size_t kShortDigest = 12;
/// The longest type that images have in practice, "docker.image.rootfs.diff.tar.gzip".
constexpr size_t kMaxType = 33;
/// Lists of more than this are not for people.
constexpr size_t kShownIndexes = 8;

/// What comes from the image is not trusted to be fit for a terminal.
std::string fact(const char* key, const std::string& value) {
  return fmt::format("{:<9}{}\n", key, printable(value));
}

/// Without what all have.
std::string short_type(const InspectedLayer& layer) {
  constexpr std::string_view kUsual = "application/vnd.";
  std::string text = printable(layer.media_type.value_or(layer.format));
  if (text.starts_with(kUsual)) text.erase(0, kUsual.size());
  if (text.size() > kMaxType) text = text.substr(0, kMaxType - 3) + "...";
  return text;
}

std::string words_of(LayerAccess access) {
  switch (access) {
    case LayerAccess::with_index:
      return "with an index";
    case LayerAccess::at_frames:
      return "at its frames";
    case LayerAccess::whole:
      return "whole fetch";
    case LayerAccess::as_it_is:
      return "as it is";
    case LayerAccess::anywhere:
    case LayerAccess::no:
      break;
  }
  return std::string(to_string(access));
}

Row row_of(const InspectedLayer& layer) {
  return {std::to_string(layer.number), layer.digest ? layer.digest->hex().substr(0, kShortDigest) : "-",
          human_size(layer.size_bytes), short_type(layer), words_of(layer.access)};
}

/// Numbers stand to the right of their columns.
std::string line(const Row& row, const std::array<size_t, 4>& width) {
  return fmt::format("{:>{}}  {:<{}}  {:>{}}  {:<{}}  {}\n", row[0], width[0], row[1], width[1], row[2],
                     width[2], row[3], width[3], row[4]);
}

std::string layer_table(const std::vector<InspectedLayer>& layers) {
  std::vector<Row> rows{{"#", "LAYER", "SIZE", "TYPE", "READ IN PIECES"}};
  for (const InspectedLayer& layer : layers) rows.push_back(row_of(layer));
  std::array<size_t, 4> width{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < width.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string table;
  for (const Row& row : rows) table += line(row, width);
  return table;
}

std::string words_of(const InspectedIndex& index) {
  const std::string of = index.layer ? fmt::format("of layer {}", *index.layer) : "of the image";
  return fmt::format("{}: {}, {} span{}", of, human_size(index.size_bytes), index.spans,
                     index.spans == 1 ? "" : "s");
}

std::string index_list(const std::vector<InspectedIndex>& indexes) {
  if (indexes.empty()) return fact("index", "none here");
  std::string text;
  for (size_t i = 0; i < std::min(indexes.size(), kShownIndexes); ++i)
    text += fact(i == 0 ? "index" : "", words_of(indexes[i]));
  if (indexes.size() > kShownIndexes)
    text += fact("", fmt::format("and {} more", indexes.size() - kShownIndexes));
  return text;
}

}  // namespace

std::string inspect_table(const InspectReply& image) {
  std::string text = fact("image", image.image);
  if (image.digest) text += fact("digest", to_string(*image.digest));
  if (image.media_type) text += fact("type", *image.media_type);
  if (image.platform) text += fact("platform", *image.platform);
  if (image.created) text += fact("created", *image.created);
  return text + index_list(image.indexes) + "\n" + layer_table(image.layers);
}

}  // namespace erofs_oci
