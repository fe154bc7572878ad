// SPDX-License-Identifier: Apache-2.0
#include "daemon/index_build.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "config/image_source.h"
#include "index/builder.h"

namespace erofs_oci {
namespace {

constexpr std::chrono::milliseconds kProgressPeriod{200};
/// Layers are rarely compressed to less than a quarter.
constexpr uint64_t kExpectedRatio = 4;

std::vector<size_t> numbers_of(const Image& image, const IndexKey& key) {
  if (key.layer) return {*key.layer};
  std::vector<size_t> numbers(image.layers().size());
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

/// What the layers may decode to: a guess, on the safe side.
uint64_t expected_bytes(const Image& image, const IndexKey& key) {
  uint64_t bytes = 0;
  for (const size_t number : numbers_of(image, key)) {
    const auto& layer = image.layers()[number];
    bytes += layer.size_bytes * (layer.format() == registry::LayerFormat::tar ? 1 : kExpectedRatio);
  }
  return bytes;
}

/// Passes a builder's progress on a few times a second.
BuildProgress throttled(const StageSink& stage) {
  return [&stage, next = std::chrono::steady_clock::time_point()](uint64_t done, uint64_t total) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (now < next && done != total) return;
    next = now + kProgressPeriod;
    stage({.stage = "building the index", .done = done, .total = total});
  };
}

}  // namespace

std::vector<LayerInput> layers_to_index(Image& image, const std::vector<size_t>& numbers) {
  const std::vector<Digest> diff_ids = image.diff_ids();
  std::vector<LayerInput> layers;
  for (const size_t number : numbers) {
    LayerInput layer{.blob = image.open_layer(number, Image::Preflight::ask).blob,
                     .digest = image.layer_digest(number),
                     .diff_id = std::nullopt};
    if (!diff_ids.empty()) layer.diff_id = diff_ids[number];
    layers.push_back(std::move(layer));
  }
  return layers;
}

ImageInput image_to_index(Image& image, const IndexKey& key) {
  return {.manifest = image.digest(),
          .platform = image.platform(),
          .layer = key.layer,
          .layers = layers_to_index(image, numbers_of(image, key))};
}

BuildOptions build_options(const Store& store, const StageSink& stage) {
  return {.threads = std::max(1u, std::thread::hardware_concurrency()),
          .scratch = store.scratch(),
          .progress = throttled(stage)};
}

CacheFilling::CacheFilling(DiskCache* cache, const Definition& definition, const Image& image,
                           const IndexKey& key)
    : cache_(cache) {
  const bool is_remote = parse_image_source(definition.image).kind == ImageKind::registry;
  if (cache_ != nullptr && definition.cache.enabled && is_remote)
    fill_ = cache_->begin_build(expected_bytes(image, key));
}

CacheFilling::~CacheFilling() {
  if (cache_ == nullptr) return;
  try {
    cache_->end_build(fill_);
  } catch (const Error& error) {
    logf(LogLevel::debug, "the cache: {}; ignoring", error.what());
  }
}

IndexBuild build_in_process(Store& store, DiskCache* cache, std::optional<CacheFill> fill) {
  return [&store, cache, fill](const OpenInput& input, Image& image, const IndexKey& key,
                               const StageSink& stage) {
    const CacheFilling filling(cache, input.definition, image, key);
    const ImageInput of = image_to_index(image, key);
    BuildOptions options = build_options(store, stage);
    const CacheFill& into = fill ? *fill : filling.fill();
    if (into.room != 0) options.sinks = built_layers(into);
    store.make_index(key, [&](int file, const std::string& name) {
      const BuildReport report = build_image_index(of, options, file, name);
      for (const std::string& note : report.notes)
        logf(LogLevel::warning, "{}: indexing: {}", input.definition.name, note);
    });
  };
}

}  // namespace erofs_oci
