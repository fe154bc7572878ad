// SPDX-License-Identifier: Apache-2.0
#include "daemon/source_opener.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/image_source.h"
#include "erofs/super_block.h"
#include "gzip/zinfo.h"
#include "index/tarindex.h"
#include "tar/header.h"
#include "source/local_file.h"
#include "source/plain_spans.h"
#include "source/read_stream.h"
#include "source/zinfo_spans.h"

namespace erofs_oci {
namespace {

using registry::LayerFormat;

/// So many files of a tarindex are compared with their layer; each costs a span.
constexpr size_t kSamples = 3;

/// Another descriptor of the same file, for a reader of its own.
UniqueFd duplicate(const UniqueFd& fd) {
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) throw errno_error("cannot duplicate a descriptor");
  return copy;
}

registry::AccessSettings access_settings(const OpenInput& input) {
  const Definition& definition = input.definition;
  registry::AccessSettings settings;
  settings.insecure = definition.registry.insecure;
  settings.ca_pem = input.ca_pem;
  settings.proxy = definition.registry.proxy;
  settings.credentials = input.credentials;
  settings.retry.deadline = definition.start_timeout;
  return settings;
}

registry::RetrySettings reading_settings(const Definition& definition) {
  registry::RetrySettings settings;
  settings.deadline.reset();
  if (definition.io.on_unavailable == Unavailable::fail) settings.deadline = definition.io.deadline;
  return settings;
}

Error given_up() {
  return Error(ErrorKind::unavailable, ECANCELED, "the daemon is stopping");
}

std::string path_of(const std::optional<std::filesystem::path>& path) { return path ? path->native() : ""; }

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

OpenedSource SourceOpener::open(OpenInput input, const StageSink& stage) {
  const Layer layer = open_layer(input, stage);
  const std::stop_callback give_up(input.stop, [&] {
    if (layer.registry_blob) layer.registry_blob->fail_pending(given_up());
  });
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
  opened.device = std::make_shared<MappedDevice>(
      std::move(parts), loader_,
      [health = input.health](ByteRange range, const Error& error) { health->read_failed(range, error); });
  return opened;
}

SourceOpener::Layer SourceOpener::open_layer(OpenInput& input, const StageSink& stage) {
  const ImageSource source = parse_image_source(input.definition.image);
  switch (source.kind) {
    case ImageKind::registry:
      return open_registry_layer(input, stage);
    case ImageKind::file: {
      Layer layer;
      layer.blob = std::make_shared<LocalFile>(std::move(input.image), source.location, workers_);
      layer.format = input.zinfo ? LayerFormat::tar_gzip : input.tarindex ? LayerFormat::tar : LayerFormat::erofs;
      return layer;
    }
    default:
      throw make_error(ErrorKind::unsupported,
                       "{}: images outside a registry cannot be mounted by this version, but for file:",
                       input.definition.image);
  }
}

SourceOpener::Layer SourceOpener::open_registry_layer(const OpenInput& input, const StageSink& stage) {
  const Definition& definition = input.definition;
  const auto reference = registry::Reference::parse(definition.image);
  auto repository = std::make_shared<registry::Repository>(engine_, reference, access_settings(input));
  const std::stop_callback give_up(input.stop, [&] { registry::Repository::cancel(repository, given_up()); });
  stage("resolving");
  const registry::ResolvedImage image = resolve(input, *repository, reference);
  if (!definition.layer && image.manifest.layers.size() != 1) {
    throw make_error(ErrorKind::unsupported,
                     "{} has {} layers; mounting them as one needs an index, which this version cannot build: choose one with "
                     "layer = …",
                     definition.image, image.manifest.layers.size());
  }
  const size_t number = registry::select_layer(image.manifest, definition.layer.value_or("0"), definition.image);
  const registry::Descriptor& descriptor = image.manifest.layers[number];
  Layer layer;
  layer.format = descriptor.format();
  layer.digest = descriptor.digest;
  layer.image_digest = image.manifest_digest;
  layer.registry_blob = input.pinned ? registry::Blob::assume(repository, descriptor, reading_settings(definition))
                                     : engine_.run(registry::Blob::open(repository, descriptor, reading_settings(definition)));
  layer.blob = layer.registry_blob;
  return layer;
}

registry::ResolvedImage SourceOpener::resolve(const OpenInput& input, registry::Repository& repository,
                                              const registry::Reference& reference) {
  const auto& asked = input.definition.platform;
  const auto platform = asked ? registry::Platform::parse(*asked) : registry::Platform::host();
  registry::Reference exact = reference;
  if (input.pinned) {
    if (const auto json = store_.find_manifest(*input.pinned)) {
      registry::ResolvedImage image;
      image.reference = reference;
      image.manifest_digest = *input.pinned;
      image.manifest = registry::parse_manifest(*json, to_string(reference));
      return image;
    }
    exact.digest = input.pinned;
  }
  auto image = engine_.run(repository.resolve(exact, platform));
  store_.put_manifest(image.manifest_digest, image.manifest_json);
  return image;
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
    throw make_error(
        ErrorKind::unsupported,
        "{} is of type {}, which cannot be mounted without an index: name its tarindex, and for gzip its zinfo",
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
  parts.map = ExtentMap({{0, tarindex.metadata_size, 0, kMetadata},
                         {tarindex.metadata_size, spans->stream_size(), 0, 0}});
  parts.metadata = duplicate(index.tarindex->file);
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
    throw make_error(ErrorKind::corrupt, "{} has {} bytes, but {} describes an archive of {}", layer.blob->name(),
                     size, index.tarindex_name, archive_size);
  }
  return std::make_unique<PlainSpans>(std::min(size, archive_size));
}

Zinfo SourceOpener::open_zinfo(const Layer& layer, const IndexFiles& index) {
  return Zinfo(duplicate(index.zinfo->file), index.zinfo_name, layer.blob->size_bytes());
}

/// A zinfo does not say how long the stream is; its last span does.
uint64_t SourceOpener::measure(const Layer& layer, const Zinfo& zinfo) {
  const ByteRange last = zinfo.compressed_range(zinfo.span_count() - 1);
  if (last.length > ZinfoSpans::kMaxSpanMemory) {
    throw make_error(ErrorKind::unsupported, "the last span has {} of compressed data; make it with smaller spans",
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

/// Nothing in a tarindex names its layer. At the first start its files are compared with the layer's tar headers, and
/// what belonged together is recorded; later starts compare with the record.
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
      throw make_error(ErrorKind::corrupt,
                       "{} was made for layer {}, but {} now has {}: make the tarindex anew, or name the image by digest",
                       index.tarindex_name, to_string(recorded->layer), input.definition.image,
                       to_string(binding->layer));
    }
  }
  stage("checking the index");
  check_samples(index, parts);
  if (binding) store_.put_binding(name, *binding);
}

void SourceOpener::check_samples(const IndexFiles& index, const DeviceParts& parts) {
  const auto& stream = parts.streams[0];
  const auto samples = pick_samples(index.tarindex->file.get(), index.tarindex_name, kSamples);
  for (const TarSample& sample : samples) {  // all under way before the first is awaited
    if (!ByteRange{sample.header_offset, kTarBlock}.fits_in(stream->spans->stream_size())) {
      throw make_error(ErrorKind::corrupt, "{}: file '{}' lies behind the end of the layer", index.tarindex_name,
                       printable(sample.name));
    }
    loader_.load(stream, stream->spans->find(sample.header_offset), Priority::foreground, [](const SpanResult&) {});
  }
  for (const TarSample& sample : samples) {
    with_context(index.tarindex_name, [&] {
      check_sample(sample, read_stream(loader_, stream, {sample.header_offset, kTarBlock}));
    });
  }
}

}  // namespace erofs_oci
