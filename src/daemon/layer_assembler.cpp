// SPDX-License-Identifier: Apache-2.0
#include "daemon/layer_assembler.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "erofs/super_block.h"
#include "gzip/zinfo.h"
#include "index/tarindex.h"
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

/// Index files as the store keeps them; either may be absent.
struct LayerAssembler::IndexFiles {
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

AssembledLayer LayerAssembler::assemble(const OpenInput& input, const SingleLayer& layer,
                                        const StageSink& stage) {
  const IndexFiles index = keep_index_files(input);
  DeviceParts parts =
      index.tarindex ? assemble_tarindex(input, layer, index) : assemble_image(input, layer, index);
  parts.name = input.definition.name;
  parts.block_size = check_super(layer, parts);
  check_binding(input, layer, index, parts, stage);
  return {std::move(parts), index.identity()};
}

LayerAssembler::IndexFiles LayerAssembler::keep_index_files(const OpenInput& input) {
  IndexFiles index;
  index.tarindex_name = path_of(input.definition.tarindex);
  index.zinfo_name = path_of(input.definition.zinfo);
  if (input.tarindex) index.tarindex = store_.keep(input.tarindex.get(), index.tarindex_name);
  if (input.zinfo) index.zinfo = store_.keep(input.zinfo.get(), index.zinfo_name);
  return index;
}

/// An EROFS image as it is, or compressed by gzip.
DeviceParts LayerAssembler::assemble_image(const OpenInput& input, const SingleLayer& layer,
                                           const IndexFiles& index) {
  std::unique_ptr<const SpanTable> spans;
  if (index.zinfo) {
    Zinfo zinfo = open_zinfo(layer, index);
    const auto known = known_size(input, layer, index);
    const uint64_t size =
        known ? *known : with_context(index.zinfo_name, [&] { return measure(layer, zinfo); });
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
  parts.map = share(ExtentMap({{0, 0, spans->stream_size(), 0}}));
  parts.streams = {stream(input, layer, index, std::move(spans))};
  return parts;
}

/// Local metadata, and behind it the layer's archive.
DeviceParts LayerAssembler::assemble_tarindex(const OpenInput& input, const SingleLayer& layer,
                                              const IndexFiles& index) {
  const Tarindex tarindex = open_tarindex(index.tarindex->file.get(), index.tarindex_name);
  auto spans = archive_spans(layer, index, tarindex.archive_size);
  DeviceParts parts;
  parts.map = share(ExtentMap(
      {{0, 0, tarindex.metadata_size, kMetadata}, {tarindex.metadata_size, 0, spans->stream_size(), 0}}));
  parts.metadata = duplicate(index.tarindex->file.get());
  parts.metadata_name = index.tarindex_name;
  parts.streams = {stream(input, layer, index, std::move(spans))};
  return parts;
}

/// Nothing vouches for the spans but the layer's origin.
std::shared_ptr<const Stream> LayerAssembler::stream(const OpenInput& input, const SingleLayer& layer,
                                                     const IndexFiles& index,
                                                     std::unique_ptr<const SpanTable> spans) {
  if (!layer.of_registry) return std::make_shared<Stream>(layer.blob, std::move(spans));
  const uint64_t size = spans->stream_size();
  const LayerKey key =
      index.zinfo ? LayerKey::of_zinfo(*layer.digest, layer.origin, index.zinfo->digest, size)
                  : LayerKey::of_plain(*layer.digest, layer.origin, PlainSpans::kSpanSize, size);
  auto store = input.definition.cache.enabled && cache_ != nullptr ? cache_->open(key, *spans) : nullptr;
  return std::make_shared<Stream>(layer.blob, std::move(spans), key.content(), std::move(store));
}

std::unique_ptr<const SpanTable> LayerAssembler::archive_spans(const SingleLayer& layer,
                                                               const IndexFiles& index,
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

Zinfo LayerAssembler::open_zinfo(const SingleLayer& layer, const IndexFiles& index) {
  return Zinfo(duplicate(index.zinfo->file.get()), index.zinfo_name, layer.blob->size_bytes());
}

/// As it was measured when this layer and zinfo were first mounted.
std::optional<uint64_t> LayerAssembler::known_size(const OpenInput& input, const SingleLayer& layer,
                                                   const IndexFiles& index) {
  const auto binding = store_.find_binding(binding_prefix_ + input.definition.name);
  if (!binding || binding->layer != layer.digest || binding->zinfo != index.zinfo->digest) return std::nullopt;
  return binding->stream_size;
}

/// A zinfo does not say how long the stream is; its last span does.
uint64_t LayerAssembler::measure(const SingleLayer& layer, const Zinfo& zinfo) {
  const ByteRange last = zinfo.compressed_range(zinfo.span_count() - 1);
  if (last.length > ZinfoSpans::kMaxSpanMemory) {
    throw make_error(ErrorKind::unsupported,
                     "the last span has {} of compressed data; make it with smaller spans",
                     human_size(last.length));
  }
  return measure_stream(zinfo, read_blob(*layer.blob, last));
}

/// The block size of the filesystem on the device; refuses what is none, or longer than the bytes there are.
uint32_t LayerAssembler::check_super(const SingleLayer& layer, const DeviceParts& parts) {
  const Extent& first = parts.map->extents().front();
  std::vector<std::byte> start(std::min(erofs::kSuperBytes, first.length));
  if (first.target == kMetadata) {
    pread_exactly(parts.metadata.get(), 0, start, parts.metadata_name);
  } else {
    start = read_stream(loader_, parts.streams[0], {0, start.size()});
  }
  const auto super = erofs::parse_super(start, layer.blob->name());
  if (super.size_bytes > parts.map->end()) {
    throw make_error(ErrorKind::corrupt, "{} is cut short: its EROFS image has {} bytes, {} are there",
                     layer.blob->name(), super.size_bytes, parts.map->end());
  }
  return super.block_size < 4096 ? 512 : 4096;
}

/// Nothing in a tarindex or zinfo names its layer. At the first start they are compared with the layer by
/// samples, and what belonged together is recorded; as long as that is the same, later starts need not.
void LayerAssembler::check_binding(const OpenInput& input, const SingleLayer& layer, const IndexFiles& index,
                                   const DeviceParts& parts, const StageSink& stage) {
  if ((!index.tarindex && !index.zinfo) || input.pinned) return;
  const std::string name = binding_prefix_ + input.definition.name;
  std::optional<Binding> binding;
  if (layer.digest) {
    binding = Binding{*layer.digest, std::nullopt, std::nullopt, std::nullopt};
    if (!index.tarindex) binding->stream_size = parts.streams[0]->spans->stream_size();
    if (index.tarindex) binding->tarindex = index.tarindex->digest;
    if (index.zinfo) binding->zinfo = index.zinfo->digest;
    if (store_.find_binding(name) == binding) return;
  }
  stage({.stage = "checking the index"});
  check_windows(index, parts);
  if (index.tarindex) check_samples(index, parts);
  if (binding) store_.put_binding(name, *binding);
}

/// The window of a span is seen to be right when the span before it is decoded. Of the whole layer that would
/// take all of it; so it is done of a few, those of the samples first, and of the others when they are read.
void LayerAssembler::check_windows(const IndexFiles& index, const DeviceParts& parts) {
  if (!index.zinfo) return;
  const auto& stream = parts.streams[0];
  const SpanTable& spans = *stream->spans;
  std::set<size_t> before;
  for (size_t i = 1; i <= kSamples && spans.span_count() > 1; ++i)
    before.insert(i * (spans.span_count() - 1) / kSamples - (i == kSamples ? 1 : 0));
  if (index.tarindex) {
    for (const TarSample& sample : pick_samples(index.tarindex->file.get(), index.tarindex_name, kSamples)) {
      if (sample.header_offset >= spans.stream_size()) continue;  // check_samples refuses it in words
      const size_t span = spans.find(sample.header_offset);
      if (span != 0) before.insert(span - 1);
    }
  }
  for (const size_t span : before) loader_.load(stream, span, Priority::foreground, [](const SpanResult&) {});
  for (const size_t span : before) read_stream(loader_, stream, {spans.output(span).offset, 1});
}

void LayerAssembler::check_samples(const IndexFiles& index, const DeviceParts& parts) {
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
    const auto block = read_stream(loader_, stream, {sample.header_offset, kTarBlock});
    with_context(index.tarindex_name, [&] { check_sample(sample, block); });
  }
}

}  // namespace erofs_oci
