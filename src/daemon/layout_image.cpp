// SPDX-License-Identifier: Apache-2.0
#include "daemon/layout_image.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "config/image_source.h"
#include "daemon/image_config.h"
#include "source/read_stream.h"

namespace erofs_oci {
namespace {

using registry::Descriptor;
using registry::Index;

constexpr const char* kIndexFile = "index.json";
/// The key of a tag among the annotations of index.json (image-spec, annotations.md).
constexpr const char* kRefName = "org.opencontainers.image.ref.name";

std::string file_of(const Digest& digest) {
  return "blobs/sha256/" + digest.hex();
}

std::string tag_of(const Descriptor& entry) {
  const auto found = entry.annotations.find(kRefName);
  return found == entry.annotations.end() ? "" : found->second;
}

/// "1.0, 1.1", the first of them; for messages.
std::string tags_of(const Index& index) {
  constexpr size_t kShown = 10;
  std::vector<std::string> tags;
  for (const Descriptor& entry : index.manifests) {
    const std::string tag = tag_of(entry);
    if (!tag.empty() && std::ranges::find(tags, tag) == tags.end()) tags.push_back(tag);
  }
  std::string text;
  for (size_t i = 0; i < std::min(tags.size(), kShown); ++i)
    text += (i == 0 ? "" : ", ") + printable(tags[i]);
  return text + (tags.size() > kShown ? ", …" : "");
}

/// The entries that a tag leaves to choose from; without a tag all, which must then be one image.
Index with_tag(const Index& index, const std::optional<std::string>& tag) {
  Index chosen = index;
  if (tag) std::erase_if(chosen.manifests, [&](const Descriptor& entry) { return tag_of(entry) != *tag; });
  const std::string tags = tags_of(index);
  if (chosen.manifests.empty() && tag) {
    throw make_error(ErrorKind::not_found, "it has no tag {}; it has: {}", *tag,
                     tags.empty() ? "none at all" : tags);
  }
  if (chosen.manifests.empty()) throw Error(ErrorKind::not_found, "it has no image");
  if (!tag && std::ranges::any_of(chosen.manifests, [&](const Descriptor& entry) {
        return tag_of(entry) != tag_of(chosen.manifests[0]);
      })) {
    throw make_error(ErrorKind::invalid,
                     "it has several images: choose one by its tag, :TAG behind the path; "
                     "it has: {}",
                     tags);
  }
  return chosen;
}

/// One entry is the image, whatever its platform, as where a registry's tag leads to an image.
const Descriptor& choose(const Index& index, const registry::Platform& platform) {
  return index.manifests.size() == 1 ? index.manifests[0] : select_platform(index, platform);
}

}  // namespace

LayoutImage::LayoutImage(const OpenInput& input, std::unique_ptr<const LayoutFiles> files)
    : name_(input.definition.image), platform_(wanted_platform(input.definition)), files_(std::move(files)) {}

std::unique_ptr<LayoutImage> LayoutImage::open(const OpenInput& input,
                                               std::unique_ptr<const LayoutFiles> files) {
  std::unique_ptr<LayoutImage> image(new LayoutImage(input, std::move(files)));
  const Document manifest = input.pinned ? image->read_pinned(*input.pinned) : image->find_manifest();
  image->digest_ = sha256(as_bytes(manifest.text));
  image->manifest_ = registry::parse_manifest(manifest.text, manifest.name);
  image->take_blobs(input);
  return image;
}

LayoutImage::Document LayoutImage::read_pinned(const Digest& digest) const {
  Document manifest = read(file_of(digest), registry::kManifestLimit);
  if (sha256(as_bytes(manifest.text)) != digest) {
    throw make_error(ErrorKind::corrupt, "{}: is not what its name says", manifest.name);
  }
  return manifest;
}

LayoutImage::Document LayoutImage::find_manifest() {
  const Document file = read(kIndexFile, registry::kManifestLimit);
  const Index index = registry::parse_index(file.text, file.name);
  const Index tagged = with_context(name_, [&] { return with_tag(index, parse_image_source(name_).tag); });
  const Descriptor entry = with_context(name_, [&] { return choose(tagged, platform_); });
  is_chosen_ = tagged.manifests.size() != 1;
  const Document document = read(entry, registry::kManifestLimit);
  if (!registry::is_index(document.text, entry.media_type, document.name)) return document;
  const Index inner = registry::parse_index(document.text, document.name);
  const Descriptor image = with_context(name_, [&] { return select_platform(inner, platform_); });
  is_chosen_ = true;
  Document manifest = read(image, registry::kManifestLimit);
  if (registry::is_index(manifest.text, image.media_type, manifest.name)) {
    throw make_error(ErrorKind::unsupported, "{}: its index leads to an index, and that to another one",
                     name_);
  }
  return manifest;
}

/// All that is still missing is asked for at once.
void LayoutImage::take_blobs(const OpenInput& input) {
  std::vector<Descriptor> wanted = layers();
  if (input.definition.layer) {
    wanted = {layers()[registry::select_layer(layers(), *input.definition.layer, name_)]};
  }
  wanted.insert(wanted.begin(), manifest_.config);
  std::vector<std::string> names;
  for (const Descriptor& descriptor : wanted) names.push_back(file_of(descriptor.digest));
  const std::vector<LayoutFile> files = files_->get(names);
  for (size_t i = 0; i < files.size(); ++i) {
    if (files[i].part.length == wanted[i].size_bytes) continue;
    throw make_error(ErrorKind::corrupt, "{}: has {} bytes, the manifest says {}", files[i].name,
                     files[i].part.length, wanted[i].size_bytes);
  }
  config_ = read(manifest_.config, kMaxConfig).text;
  if (!input.pinned && !is_chosen_) check_platform(input.definition, ImageConfig(config_));
}

LayoutImage::Document LayoutImage::read(const std::string& name, uint64_t limit) const {
  const LayoutFile file = files_->get({name}).front();
  if (file.part.length > limit) {
    throw make_error(ErrorKind::unsupported, "{}: has {}, at most {} are taken", file.name,
                     human_size(file.part.length), human_size(limit));
  }
  if (file.part.empty()) return {file.name, ""};
  return {file.name, std::string(as_text(read_blob(*file.file, file.part)))};
}

LayoutImage::Document LayoutImage::read(const Descriptor& descriptor, uint64_t limit) const {
  Document document = read(file_of(descriptor.digest), limit);
  verify(descriptor, document.text, document.name);
  return document;
}

LayerBlob LayoutImage::open_layer(size_t number, Preflight) {
  const LayoutFile file = files_->get({file_of(layers()[number].digest)}).front();
  return {std::make_shared<LocalBlob>(file.file, file.part, file.name, given_up_), nullptr};
}

}  // namespace erofs_oci
