// SPDX-License-Identifier: Apache-2.0
#include "daemon/open_image.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "config/image_source.h"
#include "daemon/file_image.h"
#include "daemon/layout_image.h"
#include "daemon/registry_image.h"
#include "source/local_file.h"

namespace erofs_oci {
namespace {

/// Whether the image, whose manifest is known, may be opened by what the cache has of its layers.
bool needs_no_index(const Digest& manifest, bool given, const std::string& name, const ImageAccess& access) {
  const auto json = access.store.find_manifest(manifest);
  if (!json || access.cache == nullptr) return false;
  const auto layers = registry::parse_manifest(*json, name).layers;
  return std::ranges::any_of(layers, [&](const registry::Descriptor& layer) {
    return (given || layer.format() == registry::LayerFormat::erofs) && access.cache->has_layer(layer.digest);
  });
}

/// Whether the cache has all data of the image, or of the layer that the definition asks for.
bool is_whole(const Digest& manifest, const Definition& definition, const ImageAccess& access) {
  const auto json = access.store.find_manifest(manifest);
  if (!json || access.cache == nullptr) return false;
  auto layers = registry::parse_manifest(*json, definition.image).layers;
  if (definition.layer)
    layers = {layers[registry::select_layer(layers, *definition.layer, definition.image)]};
  return std::ranges::all_of(
      layers, [&](const registry::Descriptor& layer) { return access.cache->has_whole_layer(layer.digest); });
}

std::unique_ptr<Image> open_registry_image(const OpenInput& input, const ImageAccess& access,
                                           const StageSink& stage) {
  const Definition& definition = input.definition;
  const auto may_go_offline = [&](const Digest& digest) {
    const bool given = definition.tarindex || definition.zinfo;
    if (!given && (definition.layer ? access.store.has_any_index(digest)
                                    : access.store.has_index({digest, std::nullopt})))
      return true;
    return needs_no_index(digest, given, definition.image, access);
  };
  const auto is_here = [&](const Digest& digest) {
    return may_go_offline(digest) && is_whole(digest, definition, access);
  };
  return RegistryImage::resolve(input, access.engine, access.store, stage, {may_go_offline, is_here});
}

const UniqueFd& image_file(const OpenInput& input) {
  if (!input.image) throw Error(ErrorKind::invalid, "'files' must have the image's file");
  return input.image;
}

/// An EROFS image begins with zeros, as an empty archive does.
std::unique_ptr<Image> open_tar(const OpenInput& input, const ImageAccess& access) {
  image_file(input);
  auto image = std::make_unique<FileImage>(input, access.workers);
  if (image->layers()[0].format() == registry::LayerFormat::erofs) {
    throw make_error(ErrorKind::invalid, "{}: is an EROFS image: name it file:", image->name());
  }
  return image;
}

std::unique_ptr<Image> open_local_image(const OpenInput& input, const ImageAccess& access) {
  const ImageSource source = parse_image_source(input.definition.image);
  switch (source.kind) {
    case ImageKind::oci:
      return LayoutImage::open(input,
                               std::make_unique<LayoutFolder>(input.layout, source.location, access.workers));
    case ImageKind::oci_archive:
      return LayoutImage::open(input,
                               std::make_unique<LayoutArchive>(std::make_shared<LocalFile>(
                                   duplicate(image_file(input).get()), source.location, access.workers)));
    case ImageKind::tar:
      return open_tar(input, access);
    default:
      image_file(input);
      return std::make_unique<FileImage>(input, access.workers);
  }
}

}  // namespace

std::unique_ptr<Image> open_image(const OpenInput& input, const ImageAccess& access, const StageSink& stage) {
  const Definition& definition = input.definition;
  if (parse_image_source(definition.image).kind == ImageKind::registry)
    return open_registry_image(input, access, stage);
  auto image = open_local_image(input, access);
  const auto [name, platform] = ref_key(definition.image, definition.platform);
  if (!input.pinned) access.store.put_ref(name, platform, image->index_key());
  return image;
}

std::pair<std::string, std::string> ref_key(const std::string& image,
                                            const std::optional<std::string>& platform) {
  const auto of = platform ? registry::Platform::parse(*platform) : registry::Platform::host();
  const bool in_registry = parse_image_source(image).kind == ImageKind::registry;
  return {in_registry ? to_string(Reference::parse(image)) : image, to_string(of)};
}

}  // namespace erofs_oci
