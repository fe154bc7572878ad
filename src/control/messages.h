// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/unique_fd.h"
#include "config/definition.h"

namespace erofs_oci {

// The parameters of calls and replies. Every struct T has
//     nlohmann::json to_json(const T&);       absent optionals are left out
//     T from_json<T>(const nlohmann::json&);  Error invalid names the member: unknown, missing, of another
//     type or range
// interface.cpp has the same in Varlink's language, and a test holds the two against each other.

/// A position in the descriptors of the message.
using FdIndex = uint32_t;

/// How the kernel, or a program, reads what the daemon serves.
enum class TransportKind { nbd, fuse, export_ };
std::string_view to_string(TransportKind kind);

/// Local files that a definition names, opened by the client.
struct OpenFiles {
  std::optional<FdIndex> image;           ///< of image = "file:…", "tar:…" and "oci-archive:…"
  std::map<std::string, FdIndex> layout;  ///< of image = "oci:…": by their names in it, is_layout_file()
  std::optional<FdIndex> tarindex;
  std::optional<FdIndex> zinfo;
  std::optional<FdIndex> ca;
};

struct OpenRequest {
  Definition definition;
  OpenFiles files;
  std::optional<FdIndex> credentials;  ///< a memfd with JSON: secrets are never in the message
  /// Open exactly this image again, from what is known of it, without asking the registry: after a restart.
  std::optional<Digest> pinned;
};

/// Sent any number of times before OpenReply.
struct OpenProgress {
  std::string stage;  ///< "resolving", "building the index", …
  uint64_t done = 0;
  uint64_t total = 0;  ///< 0: not known
  friend bool operator==(const OpenProgress&, const OpenProgress&) = default;
};

struct OpenReply {
  std::optional<std::string> generation;  ///< under which the mount is served already
  /// Whose connection the daemon still has: Serve goes on with it when it comes without descriptors.
  std::optional<std::string> kept;
  uint64_t size_bytes = 0;
  uint32_t block_size = 0;             ///< 512 or 4096
  std::optional<Digest> image_digest;  ///< none for file: and tar:
  std::optional<std::string> index_identity;
};

/// What an index is written as.
enum class IndexFormat {
  image,     ///< this project's own: all layers, or one, merged (src/index/README.md)
  tarindex,  ///< of one layer, as mkfs.erofs makes it: metadata, and a zinfo of gzip layers
};
std::string_view to_string(IndexFormat format);

/// A span is fetched and decoded as a whole.
constexpr uint64_t kMinSpanSize = 64 * kKiB;
constexpr uint64_t kMaxSpanSize = 16 * kMiB;

struct IndexRequest {
  Definition definition;  ///< says which image, which of its layers, and how to reach it
  OpenFiles files;
  std::optional<FdIndex> credentials;
  IndexFormat format = IndexFormat::image;
  bool overlay_whiteouts = false;  ///< of a tarindex
  uint64_t span_size = 0;          ///< bytes; 0: the format's usual
  std::optional<FdIndex> output;   ///< an empty file; none: the daemon's store, for mounts
  std::optional<FdIndex> zinfo;    ///< an empty file
};

struct IndexedLayerReport {
  Digest digest;
  Digest diff_id;
  uint64_t size_bytes = 0;
  uint64_t stream_bytes = 0;
  std::string format;  ///< "tar", "tar+gzip", "tar+zstd"
  uint64_t spans = 0;
  uint64_t entry_points = 0;  ///< where decoding can begin
};

struct IndexReply {
  std::optional<Digest> image_digest;
  bool existed = false;  ///< nothing was built: the store had it
  uint64_t inodes = 0;
  uint64_t metadata_bytes = 0;
  uint64_t index_bytes = 0;
  std::vector<IndexedLayerReport> layers;
  std::vector<std::string> notes;  ///< what was left out, in sentences
};

/// A definition as far as it keeps things in the store.
struct DefinedImage {
  std::string name;
  std::string image;
  std::optional<std::string> platform;
  std::optional<Digest> digest;  ///< of the manifest that is mounted, whatever the image's name leads to now
};

struct CollectRequest {
  std::vector<DefinedImage> definitions;  ///< all that there are, and those of what is mounted
  bool dry_run = false;
};

struct CollectedFile {
  std::string path;
  uint64_t size_bytes = 0;
};

struct CollectReply {
  std::vector<CollectedFile> removed;
};

struct ServeRequest {
  std::string name;
  std::string generation;
  TransportKind transport = TransportKind::nbd;
  /// In the order of the transport: first the one that reads arrive on; of nbd, the reading and the writing end of a pipe
  /// follow. None: the daemon has them (OpenReply::kept).
  std::vector<FdIndex> fds;
};

struct CloseRequest {
  std::string name;
  std::optional<std::string> generation;  ///< close only this one
};

struct PrefetchRequest {
  std::string name;
  std::optional<uint64_t> rate;  ///< bytes of blobs a second; none: the definition's
};
/// Progress is as with Open.
struct PrefetchReply {
  uint64_t bytes = 0;  ///< of uncompressed data, all on disk
};

struct AccessesRequest {
  std::string name;
};
/// How a span came to a reader, or, the last two, ahead of one.
enum class AccessHow { memory, disk, fetched, failed, read_ahead, prefetch };
std::string_view to_string(AccessHow how);

struct AccessReport {
  uint64_t at_us = 0;  ///< since the mount was opened
  uint64_t took_us = 0;
  uint64_t layer = 0;   ///< a position in AccessesReply::layers
  uint64_t offset = 0;  ///< of the span, in the layer's uncompressed bytes
  AccessHow how = AccessHow::memory;
};
struct RecordedLayer {
  std::string name;
  uint64_t stream_bytes = 0;
};
struct AccessesReply {
  std::string name;
  std::string image;
  std::optional<Digest> image_digest;
  uint64_t age_us = 0;  ///< of the mount, for its daemon
  std::vector<RecordedLayer> layers;
  std::vector<AccessReport> accesses;  ///< by their times
  uint64_t left_out = 0;               ///< later ones, of which there is no record
};

/// Policy and credentials of a mount that is served; what else the definition says is not looked at.
struct ReloadRequest {
  std::string generation;
  Definition definition;
  std::optional<FdIndex> credentials;  ///< as of OpenRequest; none: from now on, without
};

/// Until the connection ends, no read of the mount waits long for a source that is away.
struct BeginUnmountRequest {
  std::string name;
  std::optional<std::string> generation;  ///< only where it is this one
};
struct BeginUnmountReply {
  uint64_t waiting = 0;  ///< reads that are not answered yet
};

struct StatusRequest {
  std::optional<std::string> name;  ///< none: all mounts
};

/// Since the daemon took the mount over.
struct Counters {
  uint64_t reads = 0;
  uint64_t bytes_read = 0;
  uint64_t errors = 0;
  uint64_t fetch_requests = 0;
  uint64_t fetched_bytes = 0;
  uint64_t blob_bytes = 0;  ///< size of all blobs of the mount, the measure for fetched_bytes
  uint64_t cache_hits = 0;
  uint64_t misses = 0;
};

enum class Health {
  opening,  ///< no transport yet
  serving,
  waiting,  ///< the source is away: reads wait
  failed,   ///< reads get an I/O error
};
std::string_view to_string(Health health);

/// What stands behind the bytes that are served.
enum class Integrity {
  verified,    ///< every span is compared with its SHA-256 before it is served
  unverified,  ///< an index from elsewhere: compared with the layer by samples only
  local,       ///< a local file, taken as it is
};
std::string_view to_string(Integrity integrity);

/// How much of what a mount can read is on disk.
enum class CacheState {
  metadata,  ///< the tree, no data
  partial,
  complete,  ///< the registry is not needed
};
std::string_view to_string(CacheState state);

struct MountCache {
  CacheState state = CacheState::metadata;
  uint64_t kept_bytes = 0;
  uint64_t total_bytes = 0;  ///< of uncompressed data
  bool pinned = false;
};

struct MountStatus {
  std::string name;
  std::optional<std::string> generation;
  std::string image;
  std::optional<Digest> image_digest;
  std::optional<std::string> mountpoint;
  std::optional<TransportKind> transport;
  Health health = Health::opening;
  std::optional<std::string> reason;  ///< a sentence, where waiting or failed
  Integrity integrity = Integrity::unverified;
  uint64_t size_bytes = 0;
  Counters counters;
  std::optional<MountCache> cache;  ///< none where nothing is kept: a local image, or [cache] enabled = false
};

struct StatusReply {
  std::vector<MountStatus> mounts;
};

struct MountSummary {
  std::string name;
  std::optional<std::string> generation;
  std::string image;
  Health health = Health::opening;
};

struct ListReply {
  std::vector<MountSummary> mounts;
};

/// What happens to mounts, as the journal and Monitor tell it.
enum class EventKind {
  served,       ///< a transport began
  closed,       ///< the mount is gone
  source_away,  ///< reads wait
  source_back,
  read_failed,  ///< somebody got an I/O error
  corrupt,      ///< likewise, since what came is not what it should be
  connection_lost,  ///< to the kernel, before the mount was closed: reads wait for another one, or fail
};
std::string_view to_string(EventKind kind);

struct Event {
  EventKind kind = EventKind::served;
  std::string mount;
  std::optional<std::string> layer;  ///< the digest, where it is one layer's
  std::optional<uint64_t> span;
  std::string message;  ///< a sentence
};

struct MonitorRequest {
  std::optional<std::string> mount;  ///< none: all
};

/// The first has no event: from then on nothing is missed.
struct MonitorReply {
  std::optional<Event> event;
  uint64_t lost = 0;  ///< events before this one that the caller was too slow for
};

/// What is kept on disk of a layer, as one table of checkpoints cuts it.
struct CachedLayerReport {
  Digest layer;
  std::string table;  ///< "index", "zinfo" or "plain"
  uint64_t spans = 0;
  uint64_t spans_kept = 0;
  uint64_t stream_bytes = 0;
  uint64_t bytes_kept = 0;
  uint64_t bytes_on_disk = 0;
  uint64_t last_used = 0;  ///< seconds since 1970
  bool pinned = false;
  std::vector<std::string> mounts;  ///< that use it now
};
struct CacheListReply {
  std::vector<CachedLayerReport> layers;
};

struct DamagedSpanReport {
  Digest layer;
  uint64_t span = 0;
};
/// Progress is as with Open.
struct CacheVerifyReply {
  uint64_t spans = 0;
  uint64_t bytes = 0;
  std::vector<DamagedSpanReport> damaged;
};

struct CacheRemoveRequest {
  std::optional<Digest> layer;  ///< none: all
};
struct CacheRemoveReply {
  uint64_t freed_bytes = 0;
};

/// How a piece of a layer can be read without the rest.
enum class LayerAccess {
  anywhere,    ///< a plain tar
  with_index,  ///< gzip: from the checkpoints of an index
  at_frames,   ///< zstd: at its frames, which an index knows
  whole,       ///< zstd of one frame: only by fetching all of it
  as_it_is,    ///< an EROFS image
  no,          ///< of a type that is not known
};
std::string_view to_string(LayerAccess access);

struct InspectedLayer {
  uint64_t number = 0;
  std::optional<Digest> digest;           ///< none for a local file
  std::optional<std::string> media_type;  ///< none where nothing says it
  uint64_t size_bytes = 0;
  std::string format;  ///< "tar+gzip": as an index found it, else as the media type says
  LayerAccess access = LayerAccess::no;
  std::optional<uint64_t> stream_size_bytes;  ///< uncompressed; where there is an index
  std::optional<uint64_t> spans;              ///< where there is an index
};

/// An index that the store has of the image.
struct InspectedIndex {
  std::optional<uint64_t> layer;  ///< none: of the whole image
  std::string identity;
  uint64_t size_bytes = 0;
  uint64_t spans = 0;
};

/// Of Inspect, whose parameters are those of Open.
struct InspectReply {
  std::string image;
  std::optional<Digest> digest;  ///< of the manifest
  std::optional<std::string> media_type;
  std::optional<std::string> platform;
  std::optional<std::string> created;  ///< as the configuration says it, RFC 3339
  std::vector<InspectedLayer> layers;
  std::vector<InspectedIndex> indexes;
};

nlohmann::json to_json(const OpenRequest& message);
nlohmann::json to_json(const OpenProgress& message);
nlohmann::json to_json(const OpenReply& message);
nlohmann::json to_json(const IndexRequest& message);
nlohmann::json to_json(const IndexReply& message);
nlohmann::json to_json(const CollectRequest& message);
nlohmann::json to_json(const CollectReply& message);
nlohmann::json to_json(const ServeRequest& message);
nlohmann::json to_json(const CloseRequest& message);
nlohmann::json to_json(const PrefetchRequest& message);
nlohmann::json to_json(const PrefetchReply& message);
nlohmann::json to_json(const AccessesRequest& message);
nlohmann::json to_json(const AccessesReply& message);
nlohmann::json to_json(const ReloadRequest& message);
nlohmann::json to_json(const BeginUnmountRequest& message);
nlohmann::json to_json(const BeginUnmountReply& message);
nlohmann::json to_json(const StatusRequest& message);
nlohmann::json to_json(const StatusReply& message);
nlohmann::json to_json(const ListReply& message);
nlohmann::json to_json(const MonitorRequest& message);
nlohmann::json to_json(const MonitorReply& message);
nlohmann::json to_json(const Event& message);
nlohmann::json to_json(const InspectReply& message);
nlohmann::json to_json(const CacheListReply& message);
nlohmann::json to_json(const CacheVerifyReply& message);
nlohmann::json to_json(const CacheRemoveRequest& message);
nlohmann::json to_json(const CacheRemoveReply& message);

template <typename T>
T from_json(const nlohmann::json& object);

template <>
OpenRequest from_json<OpenRequest>(const nlohmann::json& object);
template <>
OpenProgress from_json<OpenProgress>(const nlohmann::json& object);
template <>
OpenReply from_json<OpenReply>(const nlohmann::json& object);
template <>
IndexRequest from_json<IndexRequest>(const nlohmann::json& object);
template <>
IndexReply from_json<IndexReply>(const nlohmann::json& object);
template <>
CollectRequest from_json<CollectRequest>(const nlohmann::json& object);
template <>
CollectReply from_json<CollectReply>(const nlohmann::json& object);
template <>
ServeRequest from_json<ServeRequest>(const nlohmann::json& object);
template <>
CloseRequest from_json<CloseRequest>(const nlohmann::json& object);
template <>
PrefetchRequest from_json<PrefetchRequest>(const nlohmann::json& object);
template <>
PrefetchReply from_json<PrefetchReply>(const nlohmann::json& object);
template <>
AccessesRequest from_json<AccessesRequest>(const nlohmann::json& object);
template <>
AccessesReply from_json<AccessesReply>(const nlohmann::json& object);
template <>
ReloadRequest from_json<ReloadRequest>(const nlohmann::json& object);
template <>
BeginUnmountRequest from_json<BeginUnmountRequest>(const nlohmann::json& object);
template <>
BeginUnmountReply from_json<BeginUnmountReply>(const nlohmann::json& object);
template <>
StatusRequest from_json<StatusRequest>(const nlohmann::json& object);
template <>
StatusReply from_json<StatusReply>(const nlohmann::json& object);
template <>
ListReply from_json<ListReply>(const nlohmann::json& object);
template <>
MonitorRequest from_json<MonitorRequest>(const nlohmann::json& object);
template <>
MonitorReply from_json<MonitorReply>(const nlohmann::json& object);
template <>
InspectReply from_json<InspectReply>(const nlohmann::json& object);
template <>
CacheListReply from_json<CacheListReply>(const nlohmann::json& object);
template <>
CacheVerifyReply from_json<CacheVerifyReply>(const nlohmann::json& object);
template <>
CacheRemoveRequest from_json<CacheRemoveRequest>(const nlohmann::json& object);
template <>
CacheRemoveReply from_json<CacheRemoveReply>(const nlohmann::json& object);

/// Whether `text` is a generation: 32 lower-case hex digits (random_hex_128()).
bool is_generation(std::string_view text);

/// Takes descriptor `index` out of those of a message; Error invalid names `parameter` where there is none,
/// or where it has been taken already.
UniqueFd take_fd(std::vector<UniqueFd>& fds, FdIndex index, std::string_view parameter);

}  // namespace erofs_oci
