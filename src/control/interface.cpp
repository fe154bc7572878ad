// SPDX-License-Identifier: Apache-2.0
#include "control/interface.h"

namespace erofs_oci {

std::string_view interface_description() {
  return R"(# Control of erofs-ocid, which serves container images as read-only block devices.
# Descriptors travel with a message (SCM_RIGHTS); a parameter of type fd index is a position in that message's list.
# Methods that change something need uid 0, or the uid that a private daemon runs as.
interface io.github.erofs-oci

# Local files of a definition, opened by the caller: fd indexes. layout: files of an image layout, by their names in it.
type Files (image: ?int, layout: ?[string]int, tarindex: ?int, zinfo: ?int, ca: ?int)

type DefinedImage (name: string, image: string, platform: ?string, digest: ?string)

type CollectedFile (path: string, size_bytes: int)

type IndexFormat (image, tarindex)

# format: tar, tar+gzip or tar+zstd. entry_points: where decoding can begin; spans between two of them are fetched together.
type IndexedLayer (
  digest: string,
  diff_id: string,
  size_bytes: int,
  stream_bytes: int,
  format: string,
  spans: int,
  entry_points: int
)

type Transport (nbd, fuse, export)

# opening: no transport yet; waiting: the source is away, reads wait; failed: reads get an I/O error.
type Health (opening, serving, waiting, failed)

# What stands behind the bytes. unverified: an index from elsewhere, compared with the layer by samples only; local: a
# local file, taken as it is.
type Integrity (verified, unverified, local)

# Since the daemon took the mount over. blob_bytes is the size of all blobs, the measure for fetched_bytes.
type Counters (
  reads: int,
  bytes_read: int,
  errors: int,
  fetch_requests: int,
  fetched_bytes: int,
  blob_bytes: int,
  cache_hits: int,
  misses: int
)

# How much of what a mount can read is on disk: only the tree; some data; all, so that the registry is not needed.
type CacheState (metadata, partial, complete)

# Bytes are of uncompressed data.
type MountCache (state: CacheState, kept_bytes: int, total_bytes: int, pinned: bool)

# cache: none where nothing is kept, of local images and where the definition forbids it.
type MountStatus (
  name: string,
  generation: ?string,
  image: string,
  image_digest: ?string,
  mountpoint: ?string,
  transport: ?Transport,
  health: Health,
  reason: ?string,
  integrity: Integrity,
  size_bytes: int,
  counters: Counters,
  cache: ?MountCache
)

type MountSummary (name: string, generation: ?string, image: string, health: Health)

# How a piece of a layer can be read without the rest. with_index: from the checkpoints of an index; at_frames: of zstd, which
# an index knows; whole: not at all, it is one zstd frame; as_it_is: an EROFS image; no: of an unknown type.
type LayerAccess (anywhere, with_index, at_frames, whole, as_it_is, no)

# format: tar, tar+gzip, tar+zstd, erofs or unknown. spans and stream_size_bytes, uncompressed, where there is an index.
type Layer (
  number: int,
  digest: ?string,
  media_type: ?string,
  size_bytes: int,
  format: string,
  access: LayerAccess,
  stream_size_bytes: ?int,
  spans: ?int
)

# An index that the store has: of one layer, or of the whole image.
type Index (layer: ?int, identity: string, size_bytes: int, spans: int)

# Resolves the image, finds or builds its index and opens its source. definition has the keys of erofs-oci.toml(5), sections
# as objects, and name. credentials is the fd index of a memfd with JSON: secrets are never in a message.
# Called with more, it answers stage, done and total any number of times, continuing, and the rest at last.
# pinned: the digest of the image to open again as it was, without asking the registry.
# generation: which the mount is served under already.
# For an image in a layout it may answer FilesWanted; it is then called again, with these files as well.
# What is not served when the connection ends is closed again.
method Open(definition: object, files: Files, credentials: ?int, pinned: ?string) -> (
  stage: ?string,
  done: ?int,
  total: ?int,
  generation: ?string,
  kept: ?string,
  size_bytes: ?int,
  block_size: ?int,
  image_digest: ?string,
  index_identity: ?string
)

# Builds an index and writes it to output, or to the daemon's store for mounts to find. Only of a daemon for one command;
# the service builds what it needs by Open. files, credentials and progress as in Open. span_size 0: the format's usual.
method Index(
  definition: object,
  files: Files,
  credentials: ?int,
  format: IndexFormat,
  overlay_whiteouts: bool,
  span_size: int,
  output: ?int,
  zinfo: ?int
) -> (
  stage: ?string,
  done: ?int,
  total: ?int,
  image_digest: ?string,
  existed: ?bool,
  inodes: ?int,
  metadata_bytes: ?int,
  index_bytes: ?int,
  layers: ?[]IndexedLayer,
  notes: ?[]string
)

# Removes from the store what neither a mount nor one of these definitions, which must be all, leads to. dry_run: tells only.
method Collect(definitions: []DefinedImage, dry_run: bool) -> (removed: []CollectedFile)

# Says what the image of a definition is made of, and which indexes of it there are. Opens nothing, builds nothing. Parameters,
# progress and FilesWanted are as with Open; digest is the manifest's.
method Inspect(definition: object, files: Files, credentials: ?int, pinned: ?string) -> (
  stage: ?string,
  done: ?int,
  total: ?int,
  image: ?string,
  digest: ?string,
  media_type: ?string,
  platform: ?string,
  created: ?string,
  layers: ?[]Layer,
  indexes: ?[]Index
)

# What is on disk of a layer. table says by what it was cut into spans: an index, a zinfo, or as it is (plain). last_used is in
# seconds since 1970; mounts are those that use it now.
type CachedLayer (
  layer: string,
  table: string,
  spans: int,
  spans_kept: int,
  stream_bytes: int,
  bytes_kept: int,
  bytes_on_disk: int,
  last_used: int,
  pinned: bool,
  mounts: []string
)

type DamagedSpan (layer: string, span: int)

method CacheList() -> (layers: []CachedLayer)

# Compares all that is on disk with its checksums; what differs is dropped, and named. Progress as with Open.
method CacheVerify() -> (
  stage: ?string,
  done: ?int,
  total: ?int,
  spans: ?int,
  bytes: ?int,
  damaged: ?[]DamagedSpan
)

# Removes what is on disk of a layer, or of all.
method CacheRemove(layer: ?string) -> (freed_bytes: int)

# Serves an opened mount on descriptors, whose order is the transport's. Answers once they are kept over a restart.
# fuse without descriptors: on those that were kept under the generation.
method Serve(name: string, generation: string, transport: Transport, fds: []int) -> ()

# Ends serving and forgets the mount; with a generation, only where it is that one.
method Close(name: string, generation: ?string) -> ()

# Fetches all of a mount's data to disk, behind all readers, and answers when it is there; ends when the caller leaves.
# rate: bytes of blobs a second; none: as the definition says. Progress as with Open, in bytes of uncompressed data.
method Prefetch(name: string, rate: ?int) -> (stage: ?string, done: ?int, total: ?int, bytes: ?int)

# A span that was read, or loaded ahead of readers: when, in microseconds since the mount was opened, how long it took, and
# where in its layer's uncompressed bytes it begins. layer is a position in layers.
type AccessHow (memory, disk, fetched, failed, read_ahead, prefetch)
type Access (at_us: int, took_us: int, layer: int, offset: int, how: AccessHow)
type RecordedLayer (name: string, stream_bytes: int)

# The first accesses of a mount; left_out counts those that came when there was no more room for them.
method Accesses(name: string) -> (
  name: string,
  image: string,
  image_digest: ?string,
  age_us: int,
  layers: []RecordedLayer,
  accesses: []Access,
  left_out: int
)

# Applies policy and credentials of a definition to a mount that is served under the generation: io.on_unavailable, io.deadline,
# cache.pin. Its other keys are not looked at. credentials as with Open; without, the registry is asked anonymously from now on.
method Reload(generation: string, definition: object, credentials: ?int) -> ()

# Until the connection ends or the mount is closed: reads that wait for a source that is away fail at once, others after three
# seconds, so that umount(2) hangs on none. waiting: reads that are not answered yet. May be called again.
method BeginUnmount(name: string, generation: ?string) -> (waiting: int)

# One mount, or all.
method Status(name: ?string) -> (mounts: []MountStatus)

method List() -> (mounts: []MountSummary)

# served: a transport began; closed: the mount is gone; source_away: reads wait; read_failed: somebody got an I/O error; corrupt:
# likewise, since what came is not what it should be; connection_lost: the kernel's end is gone, reads wait for another one or fail.
type EventKind (served, closed, source_away, source_back, read_failed, corrupt, connection_lost)

type Event (kind: EventKind, mount: string, layer: ?string, span: ?int, message: string)

# Only with more: tells what happens to one mount, or all, until the caller leaves. The first reply has no event: from then on
# nothing is missed. lost: events before this one that the caller was too slow for.
method Monitor(mount: ?string) -> (event: ?Event, lost: int)

# kind: not_found, denied, unavailable, corrupt, unsupported, invalid, busy, no_space or system. message is a sentence.
error Failed (kind: string, errno: int, message: string)

# Files of the image layout that are needed as well: "index.json" or "blobs/sha256/" and 64 hex digits.
error FilesWanted (names: []string)
)";
}

std::string_view service_description() {
  return R"(# The interface that every Varlink service has (https://varlink.org/Service).
interface org.varlink.service

method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)
method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)
error MethodNotFound (method: string)
error MethodNotImplemented (method: string)
error InvalidParameter (parameter: string)
error PermissionDenied ()
error ExpectedMore ()
)";
}

}  // namespace erofs_oci
