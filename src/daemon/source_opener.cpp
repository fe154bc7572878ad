// SPDX-License-Identifier: Apache-2.0
#include "daemon/source_opener.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/image_source.h"
#include "daemon/registry_image.h"
#include "erofs/super_block.h"
#include "gzip/zinfo.h"
#include "index/tarindex.h"
#include "source/indexed_spans.h"
#include "source/local_file.h"
#include "source/plain_spans.h"
#include "source/read_stream.h"
#include "source/zinfo_spans.h"
#include "tar/header.h"

namespace erofs_oci {
namespace {

using registry::LayerFormat;

/// So many files of a tarindex are compared with their layer; each costs a span.
constexpr size_t kSamples = 3;

std::string path_of(const std::optional<std::filesystem::path>& path) {
  return path ? path->native() : "";
}

}  // namespace

/// The bytes that the device is made of, whatever their index.
struct SourceOpener::Layer {
  std::shared_ptr<RangeReader> blob;
  LayerFormat format = LayerFormat::unknown;
  std::optional<Digest> digest;
  std::optional<Digest> image_digest;
  std::shared_ptr<registry::Blob> registry_blob;
};

/// Index files as the store keeps them; either may be absent.
struct SourceOpener::IndexFiles {
  std::optional<Store::Kept> tarindex;
  std::optional<Store::Kept> zinfo;
  std::string tarindex_name;
  std::string zinfo_name;

  std::optional<std::string> identity() const {
    if (!tarindex && !zinfo) return std::nullopt;
    Sha256 hash;
    for (const auto* kept : {&tarindex, &zinfo}) {
      if (*kept) hash.update((*kept)->digest.value);
    }
    return to_string(hash.finish());
  }
};

namespace {

/// The number of the layer that the definition asks for; none: the whole image.
std::optional<size_t> layer_number(const Definition& definition, const Image& image) {
  if (!definition.layer) return std::nullopt;
  return registry::select_layer(image.layers(), *definition.layer, definition.image);
}

/// Whether the device is made by an index of ours, and not of files that were given or of the layer as it is.
bool needs_index(const Definition& definition, const Image& image) {
  if (definition.tarindex || definition.zinfo) return false;
  const auto number = layer_number(definition, image);
  if (!number && image.layers().size() != 1) return true;
  return image.layers()[number.value_or(0)].format() != LayerFormat::erofs;
}

ExtentMap map_of(const ImageIndex& index) {
  std::vector<Extent> extents{{0, index.metadata().size, index.metadata().offset, kMetadata}};
  extents.reserve(index.extents().size() + 1);
  for (const IndexedExtent& extent : index.extents())
    extents.push_back({extent.device_offset, extent.length, extent.stream_offset, extent.layer});
  return ExtentMap(std::move(extents));
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
    const registry::Descriptor& descriptor = image.layers()[number];
    return layer.digest == descriptor.digest && layer.blob_size == descriptor.size_bytes;
  });
  if (!same)
    throw make_error(ErrorKind::corrupt, "{}: is not of the layers of {}; remove it", index.name(),
                     image.name());
  return numbers;
}

}  // namespace

IndexKey index_key(const Definition& definition, const Image& image) {
  IndexKey key{.manifest = *image.digest(), .layer = std::nullopt};
  if (const auto number = layer_number(definition, image)) key.layer = static_cast<uint32_t>(*number);
  return key;
}

OpenedSource SourceOpener::open(OpenInput input, const StageSink& stage) {
  const ImageSource source = parse_image_source(input.definition.image);
  if (source.kind == ImageKind::file) return open_layer(input, local_layer(input, source.location), stage);
  const auto image = open_image(input, stage);
  const std::stop_callback stopping(input.stop, [&] { image->give_up(given_up()); });
  if (needs_index(input.definition, *image)) return open_indexed(input, *image, stage);
  return open_layer(input, image_layer(input, *image), stage);
}

std::unique_ptr<Image> SourceOpener::open_image(const OpenInput& input, const StageSink& stage) {
  if (parse_image_source(input.definition.image).kind != ImageKind::registry) {
    throw make_error(ErrorKind::unsupported,
                     "{}: images outside a registry cannot be mounted by this version, but for file:",
                     input.definition.image);
  }
  const bool given = input.definition.tarindex || input.definition.zinfo;
  const auto may_go_offline = [&](const Digest& digest) {
    return !given &&
           (input.definition.layer ? store_.has_any_index(digest) : store_.has_index({digest, std::nullopt}));
  };
  return RegistryImage::resolve(input, engine_, store_, stage, may_go_offline);
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
  parts.map = map_of(*index);
  parts.metadata = duplicate(index->file());
  parts.metadata_name = index->name();
  for (size_t i = 0; i < numbers.size(); ++i) {
    // One layer stands for all: what would be refused later is refused now, at the cost of one request.
    const bool ask = numbers[i] == largest && !input.pinned;
    const LayerBlob blob =
        image.open_layer(numbers[i], ask ? Image::Preflight::ask : Image::Preflight::assume);
    if (blob.of_registry) opened.blobs.push_back(blob.of_registry);
    parts.streams.push_back(std::make_shared<Stream>(blob.blob, std::make_unique<IndexedSpans>(index, i)));
  }
  opened.device = make_device(std::move(parts), input);
  return opened;
}

std::shared_ptr<const ImageIndex> SourceOpener::find_or_build(const OpenInput& input, Image& image,
                                                              const IndexKey& key, const StageSink& stage) {
  if (auto index = store_.find_index(key)) return index;
  if (input.definition.index == IndexPolicy::require) {
    throw make_error(
        ErrorKind::not_found,
        "there is no index of {} ({}) here, and index = \"require\" forbids to build it at start; "
        "\"erofs-oci index {}\" builds it",
        image.name(), to_string(key.manifest), input.definition.name);
  }
  build_(input, image, key, stage);
  if (auto index = store_.find_index(key)) return index;
  throw make_error(ErrorKind::system, "the index of {} was built and cannot be found", image.name());
}

std::shared_ptr<MappedDevice> SourceOpener::make_device(DeviceParts parts, const OpenInput& input) {
  return std::make_shared<MappedDevice>(
      std::move(parts), loader_,
      [health = input.health](ByteRange range, const Error& error) { health->read_failed(range, error); });
}

OpenedSource SourceOpener::open_layer(const OpenInput& input, const Layer& layer, const StageSink& stage) {
  const IndexFiles index = keep_index_files(input);
  OpenedSource opened;
  opened.image_digest = layer.image_digest;
  opened.index_identity = index.identity();
  if (layer.registry_blob) {
    opened.blobs.push_back(layer.registry_blob);
  } else {
    opened.integrity = Integrity::local;
  }
  DeviceParts parts = index.tarindex ? assemble_tarindex(layer, index) : assemble_image(layer, index);
  parts.name = input.definition.name;
  parts.block_size = check_super(layer, parts);
  check_binding(input, layer, index, parts, stage);
  opened.device = make_device(std::move(parts), input);
  return opened;
}

SourceOpener::Layer SourceOpener::local_layer(OpenInput& input, const std::string& path) {
  Layer layer;
  layer.blob = std::make_shared<LocalFile>(std::move(input.image), path, workers_);
  layer.format = input.zinfo ? LayerFormat::tar_gzip : input.tarindex ? LayerFormat::tar : LayerFormat::erofs;
  return layer;
}

SourceOpener::Layer SourceOpener::image_layer(const OpenInput& input, Image& image) {
  if (!input.definition.layer && image.layers().size() != 1) {
    throw make_error(ErrorKind::invalid,
                     "{} has {} layers; tarindex and zinfo are of one: choose it with layer = …",
                     image.name(), image.layers().size());
  }
  const size_t number = layer_number(input.definition, image).value_or(0);
  LayerBlob blob = image.open_layer(number, input.pinned ? Image::Preflight::assume : Image::Preflight::ask);
  Layer layer;
  layer.format = image.layers()[number].format();
  layer.digest = image.layers()[number].digest;
  layer.image_digest = image.digest();
  layer.registry_blob = std::move(blob.of_registry);
  layer.blob = std::move(blob.blob);
  return layer;
}

SourceOpener::IndexFiles SourceOpener::keep_index_files(const OpenInput& input) {
  IndexFiles index;
  index.tarindex_name = path_of(input.definition.tarindex);
  index.zinfo_name = path_of(input.definition.zinfo);
  if (input.tarindex) index.tarindex = store_.keep(input.tarindex.get(), index.tarindex_name);
  if (input.zinfo) index.zinfo = store_.keep(input.zinfo.get(), index.zinfo_name);
  return index;
}

/// An EROFS image as it is, or compressed by gzip.
DeviceParts SourceOpener::assemble_image(const Layer& layer, const IndexFiles& index) {
  std::unique_ptr<const SpanTable> spans;
  if (index.zinfo) {
    Zinfo zinfo = open_zinfo(layer, index);
    const uint64_t size = with_context(index.zinfo_name, [&] { return measure(layer, zinfo); });
    spans = std::make_unique<ZinfoSpans>(std::move(zinfo), size);
  } else if (layer.format == LayerFormat::erofs) {
    spans = std::make_unique<PlainSpans>(layer.blob->size_bytes());
  } else {
    throw make_error(ErrorKind::unsupported,
                     "{} is of type {}, which cannot be mounted without an index: name its tarindex, and for "
                     "gzip its zinfo",
                     layer.blob->name(), to_string(layer.format));
  }
  DeviceParts parts;
  parts.map = ExtentMap({{0, spans->stream_size(), 0, 0}});
  parts.streams = {std::make_shared<Stream>(layer.blob, std::move(spans))};
  return parts;
}

/// Local metadata, and behind it the layer's archive.
DeviceParts SourceOpener::assemble_tarindex(const Layer& layer, const IndexFiles& index) {
  const Tarindex tarindex = open_tarindex(index.tarindex->file.get(), index.tarindex_name);
  auto spans = archive_spans(layer, index, tarindex.archive_size);
  DeviceParts parts;
  parts.map = ExtentMap(
      {{0, tarindex.metadata_size, 0, kMetadata}, {tarindex.metadata_size, spans->stream_size(), 0, 0}});
  parts.metadata = duplicate(index.tarindex->file.get());
  parts.metadata_name = index.tarindex_name;
  parts.streams = {std::make_shared<Stream>(layer.blob, std::move(spans))};
  return parts;
}

std::unique_ptr<const SpanTable> SourceOpener::archive_spans(const Layer& layer, const IndexFiles& index,
                                                             uint64_t archive_size) {
  if (index.zinfo) {
    Zinfo zinfo = open_zinfo(layer, index);
    return std::make_unique<ZinfoSpans>(std::move(zinfo), archive_size);
  }
  if (layer.format == LayerFormat::tar_gzip || layer.format == LayerFormat::tar_zstd) {
    throw make_error(ErrorKind::unsupported, "{} is of type {}: beside the tarindex, its zinfo is needed",
                     layer.blob->name(), to_string(layer.format));
  }
  const uint64_t size = layer.blob->size_bytes();
  if (size + ZinfoSpans::kPadding < archive_size) {
    throw make_error(ErrorKind::corrupt, "{} has {} bytes, but {} describes an archive of {}",
                     layer.blob->name(), size, index.tarindex_name, archive_size);
  }
  return std::make_unique<PlainSpans>(std::min(size, archive_size));
}

Zinfo SourceOpener::open_zinfo(const Layer& layer, const IndexFiles& index) {
  return Zinfo(duplicate(index.zinfo->file.get()), index.zinfo_name, layer.blob->size_bytes());
}

/// A zinfo does not say how long the stream is; its last span does.
uint64_t SourceOpener::measure(const Layer& layer, const Zinfo& zinfo) {
  const ByteRange last = zinfo.compressed_range(zinfo.span_count() - 1);
  if (last.length > ZinfoSpans::kMaxSpanMemory) {
    throw make_error(ErrorKind::unsupported,
                     "the last span has {} of compressed data; make it with smaller spans",
                     human_size(last.length));
  }
  return measure_stream(zinfo, read_blob(*layer.blob, last));
}

/// The block size of the filesystem on the device; refuses what is none, or longer than the bytes there are.
uint32_t SourceOpener::check_super(const Layer& layer, const DeviceParts& parts) {
  const Extent& first = parts.map.extents().front();
  std::vector<std::byte> start(std::min(erofs::kSuperBytes, first.length));
  if (first.target == kMetadata) {
    pread_exactly(parts.metadata.get(), 0, start, parts.metadata_name);
  } else {
    start = read_stream(loader_, parts.streams[0], {0, start.size()});
  }
  const auto super = erofs::parse_super(start, layer.blob->name());
  if (super.size_bytes > parts.map.end()) {
    throw make_error(ErrorKind::corrupt, "{} is cut short: its EROFS image has {} bytes, {} are there",
                     layer.blob->name(), super.size_bytes, parts.map.end());
  }
  return super.block_size < 4096 ? 512 : 4096;
}

/// Nothing in a tarindex names its layer. At the first start its files are compared with the layer's tar
/// headers, and what belonged together is recorded; later starts compare with the record.
void SourceOpener::check_binding(const OpenInput& input, const Layer& layer, const IndexFiles& index,
                                 const DeviceParts& parts, const StageSink& stage) {
  if (!index.tarindex || input.pinned) return;
  const std::string& name = input.definition.name;
  std::optional<Binding> binding;
  if (layer.digest) {
    binding = Binding{*layer.digest, index.tarindex->digest, std::nullopt};
    if (index.zinfo) binding->zinfo = index.zinfo->digest;
    const auto recorded = store_.find_binding(name);
    if (recorded == binding) return;
    if (recorded && recorded->tarindex == binding->tarindex && recorded->layer != binding->layer) {
      throw make_error(
          ErrorKind::corrupt,
          "{} was made for layer {}, but {} now has {}: make the tarindex anew, or name the image by digest",
          index.tarindex_name, to_string(recorded->layer), input.definition.image, to_string(binding->layer));
    }
  }
  stage({.stage = "checking the index"});
  check_samples(index, parts);
  if (binding) store_.put_binding(name, *binding);
}

void SourceOpener::check_samples(const IndexFiles& index, const DeviceParts& parts) {
  const auto& stream = parts.streams[0];
  const auto samples = pick_samples(index.tarindex->file.get(), index.tarindex_name, kSamples);
  for (const TarSample& sample : samples) {  // all under way before the first is awaited
    if (!ByteRange{sample.header_offset, kTarBlock}.fits_in(stream->spans->stream_size())) {
      throw make_error(ErrorKind::corrupt, "{}: file '{}' lies behind the end of the layer",
                       index.tarindex_name, printable(sample.name));
    }
    loader_.load(stream, stream->spans->find(sample.header_offset), Priority::foreground,
                 [](const SpanResult&) {});
  }
  for (const TarSample& sample : samples) {
    with_context(index.tarindex_name, [&] {
      check_sample(sample, read_stream(loader_, stream, {sample.header_offset, kTarBlock}));
    });
  }
}

}  // namespace erofs_oci
