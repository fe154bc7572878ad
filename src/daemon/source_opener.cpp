// SPDX-License-Identifier: Apache-2.0
#include "daemon/source_opener.h"

#include <algorithm>

#include "base/alarm.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "config/image_source.h"
#include "daemon/cached_layers.h"
#include "daemon/open_image.h"
#include "daemon/registry_image.h"
#include "source/indexed_spans.h"
#include "source/local_file.h"

namespace erofs_oci {
namespace {

using registry::LayerFormat;

/// The number of the layer that the definition asks for; none: the whole image.
std::optional<size_t> layer_number(const Definition& definition, const Image& image) {
  if (!definition.layer) return std::nullopt;
  return registry::select_layer(image.layers(), *definition.layer, definition.image);
}

/// Whether the device is made by an index of ours, and not of files that were given or of the layer as it is.
bool needs_index(const Definition& definition, const Image& image) {
  if (definition.tarindex || definition.zinfo) return false;
  if (parse_image_source(definition.image).kind == ImageKind::tar) return true;
  const auto number = layer_number(definition, image);
  if (!number && image.layers().size() != 1) return true;
  return image.layers()[number.value_or(0)].format() != LayerFormat::erofs;
}

/// The layers of the image that the index is of; refuses one that is of others.
std::vector<size_t> indexed_layers(const ImageIndex& index, const Image& image, const IndexKey& key) {
  std::vector<size_t> numbers;
  if (key.layer) {
    numbers = {*key.layer};
  } else {
    for (size_t i = 0; i < image.layers().size(); ++i) numbers.push_back(i);
  }
  const auto& layers = index.identity().layers;
  const bool same = std::ranges::equal(layers, numbers, [&](const IndexedLayer& layer, size_t number) {
    return layer.digest == image.layer_digest(number).value_or(layer.digest) &&
           layer.blob_size == image.layers()[number].size_bytes;
  });
  if (!same)
    throw make_error(ErrorKind::corrupt, "{}: is not of the layers of {}; remove it", index.name(),
                     image.name());
  return numbers;
}

http::Task<void> call_later(http::Engine& engine, std::chrono::milliseconds delay, std::function<void()> call) {
  try {
    co_await engine.sleep_for(delay);
  } catch (const Error&) {
    co_return;  // the engine stops
  }
  call();
}

Error too_slow(const Definition& definition) {
  return Error(
      ErrorKind::unavailable, ETIMEDOUT,
      fmt::format("not opened within start_timeout ({} s)",
                  std::chrono::duration_cast<std::chrono::seconds>(definition.start_timeout).count()));
}

}  // namespace

IndexKey index_key(const Definition& definition, const Image& image) {
  IndexKey key{.manifest = image.index_key(), .layer = std::nullopt};
  if (const auto number = layer_number(definition, image)) key.layer = static_cast<uint32_t>(*number);
  return key;
}

Patience patience_of(const IoSettings& io) {
  Patience patience;
  if (io.on_unavailable == Unavailable::fail) patience.deadline = io.deadline;
  return patience;
}

OpenedSource SourceOpener::open(OpenInput input, const StageSink& stage) {
  OpenedSource opened = open_source(input, stage);
  opened.served = make_patient(input, opened);
  return opened;
}

void SourceOpener::apply_policy(const OpenedSource& opened, const Definition& definition,
                                const std::optional<registry::Credentials>& credentials) {
  opened.served->set_patience(patience_of(definition.io));
  for (const auto& blob : opened.blobs) {
    blob->set_reading(reading_settings(definition.io));
    blob->set_credentials(credentials);
  }
  pin(definition, *opened.device);
}

std::shared_ptr<PatientDevice> SourceOpener::make_patient(const OpenInput& input, const OpenedSource& opened) const {
  PatientDeviceHooks hooks;
  hooks.after = [&engine = engine_](std::chrono::milliseconds delay, std::function<void()> call) {
    engine.spawn(call_later(engine, delay, std::move(call)));
  };
  hooks.interrupt = [blobs = opened.blobs] {
    for (const auto& blob : blobs) {
      blob->fail_pending(Error(ErrorKind::unavailable, ECANCELED, "the source is away"));
      blob->resume();
    }
  };
  hooks.on_change = [health = input.health](const std::optional<Error>& why) { health->source_changed(why); };
  return std::make_shared<PatientDevice>(opened.device, patience_of(input.definition.io), std::move(hooks));
}

OpenedSource SourceOpener::open_source(OpenInput& input, const StageSink& stage) {
  const ImageSource source = parse_image_source(input.definition.image);
  if (source.kind == ImageKind::file) return open_layer(input, local_layer(input, source.location), stage);
  const auto deadline = std::chrono::steady_clock::now() + input.definition.start_timeout;
  const auto image = open_image(input, {engine_, workers_, store_, cache_}, stage);
  if (image->layers().empty()) throw make_error(ErrorKind::not_found, "{} has no layers", image->name());
  const std::stop_callback stopping(input.left, [&] { image->give_up(given_up()); });
  if (needs_index(input.definition, *image)) return open_indexed(input, *image, stage);
  const Alarm alarm(deadline, [&] { image->give_up(too_slow(input.definition)); });
  return open_layer(input, image_layer(input, *image), stage);
}

/// Metadata and extents as the index says, over the layers' blobs.
OpenedSource SourceOpener::open_indexed(const OpenInput& input, Image& image, const StageSink& stage) {
  const IndexKey key = index_key(input.definition, image);
  const auto index = find_or_build(input, image, key, stage);
  const std::vector<size_t> numbers = indexed_layers(*index, image, key);
  const auto largest =
      std::ranges::max(numbers, {}, [&](size_t number) { return image.layers()[number].size_bytes; });
  OpenedSource opened;
  opened.image_digest = image.digest();
  opened.index_identity = to_string(index->digest());
  opened.integrity = Integrity::verified;
  DeviceParts parts;
  parts.name = input.definition.name;
  parts.map = {index, &index->map()};
  parts.metadata = duplicate(index->file());
  parts.metadata_name = index->name();
  const bool is_remote = parse_image_source(input.definition.image).kind == ImageKind::registry;
  DiskCache* const cache = input.definition.cache.enabled ? cache_ : nullptr;
  for (size_t i = 0; i < numbers.size(); ++i) {
    // One layer stands for all: what would be refused later is refused now, at the cost of one request. A layer that
    // was read before was not refused.
    const bool may_ask = numbers[i] == largest && !input.pinned;
    auto spans = std::make_unique<IndexedSpans>(index, i);
    const auto layer_key = LayerKey::of_index(index->identity().layers[i].digest, index->spans_digest(i));
    const auto store = is_remote && cache != nullptr ? cache->open(layer_key, *spans) : nullptr;
    const bool ask = may_ask && !(store && store->has_any());
    const LayerBlob blob =
        image.open_layer(numbers[i], ask ? Image::Preflight::ask : Image::Preflight::assume);
    if (blob.of_registry) opened.blobs.push_back(blob.of_registry);
    parts.layers.push_back(to_string(index->identity().layers[i].digest));
    const auto content = is_remote ? std::optional(layer_key.content()) : std::nullopt;
    parts.streams.push_back(std::make_shared<Stream>(blob.blob, std::move(spans), content, store));
  }
  opened.device = make_device(std::move(parts), input);
  return opened;
}

std::shared_ptr<const ImageIndex> SourceOpener::find_or_build(const OpenInput& input, Image& image,
                                                              const IndexKey& key, const StageSink& stage) {
  if (auto index = store_.find_index(key)) return index;
  if (input.definition.index == IndexPolicy::require) {
    throw make_error(ErrorKind::not_found,
                     "there is no index of {}{} here, and index = \"require\" forbids to build it at start; "
                     "\"erofs-oci index {}\" builds it",
                     image.name(), image.digest() ? " (" + to_string(*image.digest()) + ")" : "",
                     input.definition.name);
  }
  build_(input, image, key, stage);
  if (auto index = store_.find_index(key)) return index;
  throw make_error(ErrorKind::system, "the index of {} was built and cannot be found", image.name());
}

std::shared_ptr<MappedDevice> SourceOpener::make_device(DeviceParts parts, const OpenInput& input) {
  auto device = std::make_shared<MappedDevice>(
      std::move(parts), loader_,
      [health = input.health](const FailedRead& read, const Error& error) { health->read_failed(read, error); });
  pin(input.definition, *device);
  return device;
}

/// What the mount pinned before, of another image perhaps, is no longer.
void SourceOpener::pin(const Definition& definition, const MappedDevice& device) {
  if (cache_ == nullptr) return;
  try {
    cache_->pin(definition.name, definition.cache.pin ? cached_layers(device) : DiskCache::Layers());
  } catch (const Error& error) {
    logf(LogLevel::warning, "{}: cache.pin: {}; it may be evicted after a restart", definition.name, error.what());
  }
}

OpenedSource SourceOpener::open_layer(const OpenInput& input, const SingleLayer& layer,
                                      const StageSink& stage) {
  AssembledLayer assembled = assembler_.assemble(input, layer, stage);
  OpenedSource opened;
  opened.image_digest = layer.image_digest;
  opened.index_identity = std::move(assembled.index_identity);
  if (layer.of_registry) {
    opened.blobs.push_back(layer.of_registry);
  } else {
    opened.integrity = Integrity::local;
  }
  if (layer.digest) assembled.parts.layers = {to_string(*layer.digest)};
  opened.device = make_device(std::move(assembled.parts), input);
  return opened;
}

SingleLayer SourceOpener::local_layer(OpenInput& input, const std::string& path) {
  SingleLayer layer;
  layer.blob = std::make_shared<LocalFile>(std::move(input.image), path, workers_);
  layer.format = input.zinfo ? LayerFormat::tar_gzip : input.tarindex ? LayerFormat::tar : LayerFormat::erofs;
  return layer;
}

SingleLayer SourceOpener::image_layer(const OpenInput& input, Image& image) const {
  if (!input.definition.layer && image.layers().size() != 1) {
    throw make_error(ErrorKind::invalid,
                     "{} has {} layers; tarindex and zinfo are of one: choose it with layer = …",
                     image.name(), image.layers().size());
  }
  const size_t number = layer_number(input.definition, image).value_or(0);
  const auto digest = image.layer_digest(number);
  const bool was_read = cache_ != nullptr && digest && cache_->has_layer(*digest);
  LayerBlob blob =
      image.open_layer(number, input.pinned || was_read ? Image::Preflight::assume : Image::Preflight::ask);
  SingleLayer layer;
  layer.format = image.layers()[number].format();
  layer.digest = digest;
  layer.image_digest = image.digest();
  layer.of_registry = std::move(blob.of_registry);
  layer.origin = std::move(blob.origin);
  layer.blob = std::move(blob.blob);
  return layer;
}

}  // namespace erofs_oci
