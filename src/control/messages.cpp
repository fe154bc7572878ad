// SPDX-License-Identifier: Apache-2.0
#include "control/messages.h"

#include "config/definition_file.h"
#include "control/files_wanted.h"
#include "control/message_fields.h"

namespace erofs_oci {

template <>
struct Fields<OpenFiles> {
  static void visit(auto& io, auto& m) {
    io("image", m.image);
    io("layout", m.layout);
    io("tarindex", m.tarindex);
    io("zinfo", m.zinfo);
    io("ca", m.ca);
  }
};
template <>
struct Fields<OpenRequest> {
  static void visit(auto& io, auto& m) {
    io("definition", m.definition);
    io("files", m.files);
    io("credentials", m.credentials);
    io("pinned", m.pinned);
  }
};
template <>
struct Fields<OpenProgress> {
  static void visit(auto& io, auto& m) {
    io("stage", m.stage);
    io("done", m.done);
    io("total", m.total);
  }
};
template <>
struct Fields<OpenReply> {
  static void visit(auto& io, auto& m) {
    io("generation", m.generation);
    io("kept", m.kept);
    io("size_bytes", m.size_bytes);
    io("block_size", m.block_size);
    io("image_digest", m.image_digest);
    io("index_identity", m.index_identity);
  }
};
template <>
struct Fields<IndexRequest> {
  static void visit(auto& io, auto& m) {
    io("definition", m.definition);
    io("files", m.files);
    io("credentials", m.credentials);
    io("format", m.format);
    io("overlay_whiteouts", m.overlay_whiteouts);
    io("span_size", m.span_size);
    io("output", m.output);
    io("zinfo", m.zinfo);
  }
};
template <>
struct Fields<IndexedLayerReport> {
  static void visit(auto& io, auto& m) {
    io("digest", m.digest);
    io("diff_id", m.diff_id);
    io("size_bytes", m.size_bytes);
    io("stream_bytes", m.stream_bytes);
    io("format", m.format);
    io("spans", m.spans);
    io("entry_points", m.entry_points);
  }
};
template <>
struct Fields<IndexReply> {
  static void visit(auto& io, auto& m) {
    io("image_digest", m.image_digest);
    io("existed", m.existed);
    io("inodes", m.inodes);
    io("metadata_bytes", m.metadata_bytes);
    io("index_bytes", m.index_bytes);
    io("layers", m.layers);
    io("notes", m.notes);
  }
};
template <>
struct Fields<DefinedImage> {
  static void visit(auto& io, auto& m) {
    io("name", m.name);
    io("image", m.image);
    io("platform", m.platform);
    io("digest", m.digest);
  }
};
template <>
struct Fields<CollectRequest> {
  static void visit(auto& io, auto& m) {
    io("definitions", m.definitions);
    io("dry_run", m.dry_run);
  }
};
template <>
struct Fields<CollectedFile> {
  static void visit(auto& io, auto& m) {
    io("path", m.path);
    io("size_bytes", m.size_bytes);
  }
};
template <>
struct Fields<CollectReply> {
  static void visit(auto& io, auto& m) { io("removed", m.removed); }
};
template <>
struct Fields<ServeRequest> {
  static void visit(auto& io, auto& m) {
    io("name", m.name);
    io("generation", m.generation);
    io("transport", m.transport);
    io("fds", m.fds);
  }
};
template <>
struct Fields<CloseRequest> {
  static void visit(auto& io, auto& m) {
    io("name", m.name);
    io("generation", m.generation);
  }
};
template <>
struct Fields<PrefetchRequest> {
  static void visit(auto& io, auto& m) {
    io("name", m.name);
    io("rate", m.rate);
  }
};
template <>
struct Fields<PrefetchReply> {
  static void visit(auto& io, auto& m) { io("bytes", m.bytes); }
};
template <>
struct Fields<AccessesRequest> {
  static void visit(auto& io, auto& m) { io("name", m.name); }
};
template <>
struct Fields<AccessReport> {
  static void visit(auto& io, auto& m) {
    io("at_us", m.at_us);
    io("took_us", m.took_us);
    io("layer", m.layer);
    io("offset", m.offset);
    io("how", m.how);
  }
};
template <>
struct Fields<RecordedLayer> {
  static void visit(auto& io, auto& m) {
    io("name", m.name);
    io("stream_bytes", m.stream_bytes);
  }
};
template <>
struct Fields<AccessesReply> {
  static void visit(auto& io, auto& m) {
    io("name", m.name);
    io("image", m.image);
    io("image_digest", m.image_digest);
    io("age_us", m.age_us);
    io("layers", m.layers);
    io("accesses", m.accesses);
    io("left_out", m.left_out);
  }
};
template <>
struct Fields<ReloadRequest> {
  static void visit(auto& io, auto& m) {
    io("generation", m.generation);
    io("definition", m.definition);
    io("credentials", m.credentials);
  }
};
template <>
struct Fields<Event> {
  static void visit(auto& io, auto& m) {
    io("kind", m.kind);
    io("mount", m.mount);
    io("layer", m.layer);
    io("span", m.span);
    io("message", m.message);
  }
};
template <>
struct Fields<MonitorRequest> {
  static void visit(auto& io, auto& m) { io("mount", m.mount); }
};
template <>
struct Fields<MonitorReply> {
  static void visit(auto& io, auto& m) {
    io("event", m.event);
    io("lost", m.lost);
  }
};
template <>
struct Fields<BeginUnmountRequest> {
  static void visit(auto& io, auto& m) {
    io("name", m.name);
    io("generation", m.generation);
  }
};
template <>
struct Fields<BeginUnmountReply> {
  static void visit(auto& io, auto& m) { io("waiting", m.waiting); }
};
template <>
struct Fields<StatusRequest> {
  static void visit(auto& io, auto& m) { io("name", m.name); }
};
template <>
struct Fields<Counters> {
  static void visit(auto& io, auto& m) {
    io("reads", m.reads);
    io("bytes_read", m.bytes_read);
    io("errors", m.errors);
    io("fetch_requests", m.fetch_requests);
    io("fetched_bytes", m.fetched_bytes);
    io("blob_bytes", m.blob_bytes);
    io("cache_hits", m.cache_hits);
    io("misses", m.misses);
  }
};
template <>
struct Fields<MountCache> {
  static void visit(auto& io, auto& m) {
    io("state", m.state);
    io("kept_bytes", m.kept_bytes);
    io("total_bytes", m.total_bytes);
    io("pinned", m.pinned);
  }
};
template <>
struct Fields<MountStatus> {
  static void visit(auto& io, auto& m) {
    io("name", m.name);
    io("generation", m.generation);
    io("image", m.image);
    io("image_digest", m.image_digest);
    io("mountpoint", m.mountpoint);
    io("transport", m.transport);
    io("health", m.health);
    io("reason", m.reason);
    io("integrity", m.integrity);
    io("size_bytes", m.size_bytes);
    io("counters", m.counters);
    io("cache", m.cache);
  }
};
template <>
struct Fields<StatusReply> {
  static void visit(auto& io, auto& m) { io("mounts", m.mounts); }
};
template <>
struct Fields<MountSummary> {
  static void visit(auto& io, auto& m) {
    io("name", m.name);
    io("generation", m.generation);
    io("image", m.image);
    io("health", m.health);
  }
};
template <>
struct Fields<ListReply> {
  static void visit(auto& io, auto& m) { io("mounts", m.mounts); }
};
template <>
struct Fields<CachedLayerReport> {
  static void visit(auto& io, auto& m) {
    io("layer", m.layer);
    io("table", m.table);
    io("spans", m.spans);
    io("spans_kept", m.spans_kept);
    io("stream_bytes", m.stream_bytes);
    io("bytes_kept", m.bytes_kept);
    io("bytes_on_disk", m.bytes_on_disk);
    io("last_used", m.last_used);
    io("pinned", m.pinned);
    io("mounts", m.mounts);
  }
};
template <>
struct Fields<CacheListReply> {
  static void visit(auto& io, auto& m) {
    io("layers", m.layers);
  }
};
template <>
struct Fields<DamagedSpanReport> {
  static void visit(auto& io, auto& m) {
    io("layer", m.layer);
    io("span", m.span);
  }
};
template <>
struct Fields<CacheVerifyReply> {
  static void visit(auto& io, auto& m) {
    io("spans", m.spans);
    io("bytes", m.bytes);
    io("damaged", m.damaged);
  }
};
template <>
struct Fields<CacheRemoveRequest> {
  static void visit(auto& io, auto& m) {
    io("layer", m.layer);
  }
};
template <>
struct Fields<CacheRemoveReply> {
  static void visit(auto& io, auto& m) {
    io("freed_bytes", m.freed_bytes);
  }
};
template <>
struct Fields<InspectedLayer> {
  static void visit(auto& io, auto& m) {
    io("number", m.number);
    io("digest", m.digest);
    io("media_type", m.media_type);
    io("size_bytes", m.size_bytes);
    io("format", m.format);
    io("access", m.access);
    io("stream_size_bytes", m.stream_size_bytes);
    io("spans", m.spans);
  }
};
template <>
struct Fields<InspectedIndex> {
  static void visit(auto& io, auto& m) {
    io("layer", m.layer);
    io("identity", m.identity);
    io("size_bytes", m.size_bytes);
    io("spans", m.spans);
  }
};
template <>
struct Fields<InspectReply> {
  static void visit(auto& io, auto& m) {
    io("image", m.image);
    io("digest", m.digest);
    io("media_type", m.media_type);
    io("platform", m.platform);
    io("created", m.created);
    io("layers", m.layers);
    io("indexes", m.indexes);
  }
};

namespace {

void check_name(const std::string& name) {
  if (!is_mount_name(name)) throw Error(ErrorKind::invalid, "'name' must be the name of a mount");
}

void check_generation(const std::optional<std::string>& generation) {
  if (generation && !is_generation(*generation)) {
    throw Error(ErrorKind::invalid, "'generation' must be 32 lower-case hex digits");
  }
}

void check_layout(const OpenFiles& files) {
  if (files.layout.size() > kMaxLayoutFiles) {
    throw make_error(ErrorKind::invalid, "'layout' must have {} files at most", kMaxLayoutFiles);
  }
  for (const auto& [name, index] : files.layout) {
    if (!is_layout_file(name)) {
      throw Error(ErrorKind::invalid, "'layout' must name files as an image layout does");
    }
  }
}

}  // namespace

std::string_view to_string(TransportKind kind) {
  return EnumNames<TransportKind>::kNames.at(static_cast<size_t>(kind));
}
std::string_view to_string(IndexFormat format) {
  return EnumNames<IndexFormat>::kNames.at(static_cast<size_t>(format));
}
std::string_view to_string(Integrity integrity) {
  return EnumNames<Integrity>::kNames.at(static_cast<size_t>(integrity));
}
std::string_view to_string(EventKind kind) {
  return EnumNames<EventKind>::kNames.at(static_cast<size_t>(kind));
}
std::string_view to_string(Health health) {
  return EnumNames<Health>::kNames.at(static_cast<size_t>(health));
}

std::string_view to_string(CacheState state) {
  return EnumNames<CacheState>::kNames.at(static_cast<size_t>(state));
}
std::string_view to_string(AccessHow how) {
  return EnumNames<AccessHow>::kNames.at(static_cast<size_t>(how));
}
std::string_view to_string(LayerAccess access) {
  return EnumNames<LayerAccess>::kNames.at(static_cast<size_t>(access));
}

nlohmann::json to_json(const OpenRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const OpenProgress& message) {
  return encode(message);
}
nlohmann::json to_json(const OpenReply& message) {
  return encode(message);
}
nlohmann::json to_json(const IndexRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const IndexReply& message) {
  return encode(message);
}
nlohmann::json to_json(const CollectRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const CollectReply& message) {
  return encode(message);
}
nlohmann::json to_json(const ServeRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const CloseRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const PrefetchRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const PrefetchReply& message) {
  return encode(message);
}
nlohmann::json to_json(const AccessesRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const AccessesReply& message) {
  return encode(message);
}
nlohmann::json to_json(const Event& message) {
  return encode(message);
}
nlohmann::json to_json(const MonitorRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const MonitorReply& message) {
  return encode(message);
}
nlohmann::json to_json(const ReloadRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const BeginUnmountRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const BeginUnmountReply& message) {
  return encode(message);
}
nlohmann::json to_json(const StatusRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const StatusReply& message) {
  return encode(message);
}
nlohmann::json to_json(const ListReply& message) {
  return encode(message);
}
nlohmann::json to_json(const InspectReply& message) {
  return encode(message);
}
nlohmann::json to_json(const CacheListReply& message) {
  return encode(message);
}
nlohmann::json to_json(const CacheVerifyReply& message) {
  return encode(message);
}
nlohmann::json to_json(const CacheRemoveRequest& message) {
  return encode(message);
}
nlohmann::json to_json(const CacheRemoveReply& message) {
  return encode(message);
}

template <>
OpenRequest from_json(const nlohmann::json& object) {
  auto request = decode<OpenRequest>(object);
  check_layout(request.files);
  return request;
}

template <>
OpenProgress from_json(const nlohmann::json& object) {
  return decode<OpenProgress>(object);
}

template <>
OpenReply from_json(const nlohmann::json& object) {
  auto reply = decode<OpenReply>(object);
  check_generation(reply.generation);
  check_generation(reply.kept);
  if (reply.block_size != 512 && reply.block_size != 4096) {
    throw Error(ErrorKind::invalid, "'block_size' must be 512 or 4096");
  }
  if (reply.size_bytes == 0 || reply.size_bytes % reply.block_size != 0) {
    throw Error(ErrorKind::invalid, "'size_bytes' must be whole blocks, one at least");
  }
  return reply;
}

template <>
IndexRequest from_json(const nlohmann::json& object) {
  auto request = decode<IndexRequest>(object);
  if (request.span_size != 0 && (request.span_size < kMinSpanSize || request.span_size > kMaxSpanSize)) {
    throw make_error(ErrorKind::invalid, "'span_size' must be {} to {} bytes", kMinSpanSize, kMaxSpanSize);
  }
  return request;
}

template <>
IndexReply from_json(const nlohmann::json& object) {
  return decode<IndexReply>(object);
}

template <>
CollectRequest from_json(const nlohmann::json& object) {
  auto request = decode<CollectRequest>(object);
  for (const DefinedImage& definition : request.definitions) check_name(definition.name);
  return request;
}

template <>
CollectReply from_json(const nlohmann::json& object) {
  return decode<CollectReply>(object);
}

template <>
ServeRequest from_json(const nlohmann::json& object) {
  auto request = decode<ServeRequest>(object);
  check_name(request.name);
  check_generation(request.generation);
  if (request.fds.empty() && request.transport != TransportKind::fuse) {
    throw Error(ErrorKind::invalid, "'fds' must name a descriptor at least");
  }
  return request;
}

template <>
CloseRequest from_json(const nlohmann::json& object) {
  auto request = decode<CloseRequest>(object);
  check_name(request.name);
  check_generation(request.generation);
  return request;
}

template <>
PrefetchRequest from_json(const nlohmann::json& object) {
  auto request = decode<PrefetchRequest>(object);
  check_name(request.name);
  if (request.rate && *request.rate == 0) throw Error(ErrorKind::invalid, "'rate' must not be 0");
  return request;
}

template <>
PrefetchReply from_json(const nlohmann::json& object) {
  return decode<PrefetchReply>(object);
}

template <>
AccessesRequest from_json(const nlohmann::json& object) {
  auto request = decode<AccessesRequest>(object);
  check_name(request.name);
  return request;
}

template <>
AccessesReply from_json(const nlohmann::json& object) {
  auto reply = decode<AccessesReply>(object);
  for (const AccessReport& access : reply.accesses) {
    if (access.layer >= reply.layers.size())
      throw Error(ErrorKind::invalid, "'layer' must be one of 'layers'");
  }
  return reply;
}

template <>
MonitorRequest from_json(const nlohmann::json& object) {
  auto request = decode<MonitorRequest>(object);
  if (request.mount) check_name(*request.mount);
  return request;
}

template <>
MonitorReply from_json(const nlohmann::json& object) {
  return decode<MonitorReply>(object);
}

template <>
ReloadRequest from_json(const nlohmann::json& object) {
  auto request = decode<ReloadRequest>(object);
  check_generation(request.generation);
  return request;
}

template <>
BeginUnmountRequest from_json(const nlohmann::json& object) {
  auto request = decode<BeginUnmountRequest>(object);
  check_name(request.name);
  check_generation(request.generation);
  return request;
}

template <>
BeginUnmountReply from_json(const nlohmann::json& object) {
  return decode<BeginUnmountReply>(object);
}

template <>
StatusRequest from_json(const nlohmann::json& object) {
  auto request = decode<StatusRequest>(object);
  if (request.name) check_name(*request.name);
  return request;
}

template <>
StatusReply from_json(const nlohmann::json& object) {
  return decode<StatusReply>(object);
}

template <>
ListReply from_json(const nlohmann::json& object) {
  return decode<ListReply>(object);
}

template <>
CacheListReply from_json(const nlohmann::json& object) {
  return decode<CacheListReply>(object);
}

template <>
CacheVerifyReply from_json(const nlohmann::json& object) {
  return decode<CacheVerifyReply>(object);
}

template <>
CacheRemoveRequest from_json(const nlohmann::json& object) {
  return decode<CacheRemoveRequest>(object);
}

template <>
CacheRemoveReply from_json(const nlohmann::json& object) {
  return decode<CacheRemoveReply>(object);
}

template <>
InspectReply from_json(const nlohmann::json& object) {
  return decode<InspectReply>(object);
}

bool is_generation(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

UniqueFd take_fd(std::vector<UniqueFd>& fds, FdIndex index, std::string_view parameter) {
  if (index >= fds.size() || !fds[index]) {
    throw make_error(ErrorKind::invalid, "'{}' names descriptor {}, which did not come with the message",
                     parameter, index);
  }
  return std::move(fds[index]);
}

}  // namespace erofs_oci
