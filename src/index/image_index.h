// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/unique_fd.h"
#include "index/extent_map.h"
#include "index/layer_scan.h"

namespace erofs_oci {

/// A layer as an index knows it.
struct IndexedLayer {
  Digest digest;   ///< of the blob
  Digest diff_id;  ///< of the stream
  uint64_t blob_size = 0;
  uint64_t stream_size = 0;
  StreamFormat format = StreamFormat::plain;
};

/// What an index is of.
struct IndexIdentity {
  std::string tool;                ///< that made it, with its version
  std::optional<Digest> manifest;  ///< none for an archive that is no image's
  std::string platform;            ///< "" where the image says none
  std::optional<uint32_t> layer;   ///< the only layer that was taken
  uint64_t span_size = 0;
  std::vector<IndexedLayer> layers;  ///< those that are merged, lowest first
};

/// As JSON, the way an index holds it. from: Error corrupt.
std::string identity_to_json(const IndexIdentity& identity);
IndexIdentity identity_from_json(std::string_view json);

/// An index that was opened: its tables in memory, metadata and windows in the file. Immutable, thread-safe.
class ImageIndex {
 public:
  struct Part {
    uint64_t offset = 0;
    uint64_t size = 0;
    Digest digest;
  };
  struct Parts;

  /// Reads and verifies all but the windows. Throws Error corrupt, naming `name`, and saying that it can be
  /// built again.
  ImageIndex(UniqueFd file, std::string name);

  const IndexIdentity& identity() const { return identity_; }
  /// SHA-256 of the header, hence of everything.
  const Digest& digest() const { return digest_; }
  int file() const { return file_.get(); }
  const std::string& name() const { return name_; }
  const Part& metadata() const { return metadata_; }
  /// The device: its metadata, in this file, then what lies in layers' streams.
  const ExtentMap& map() const { return map_; }
  /// The latter.
  std::span<const Extent> extents() const { return std::span(map_.extents()).subspan(1); }
  const std::vector<ScannedSpan>& spans(size_t layer) const { return spans_[layer]; }
  /// SHA-256 of the table of a layer's spans: equal layers that were cut alike have it in common, whatever the image.
  const Digest& spans_digest(size_t layer) const { return spans_digests_[layer]; }
  const Part& windows(size_t layer) const { return windows_[layer]; }

  /// Compares every part with its SHA-256, the windows too.
  void verify() const;

 private:
  Parts read_header();
  void read_identity(const Part& part);
  void read_extents(const Part& part);
  void read_spans(const Part& part, size_t layer);
  void check_span(size_t layer, size_t number) const;
  template <typename Entry>
  std::vector<std::byte> read_table(const Part& part, std::string_view what) const;
  std::vector<std::byte> read_part(const Part& part, std::string_view what) const;
  void verify_part(const Part& part, std::string_view what) const;
  [[noreturn]] void corrupt(std::string_view what) const;

  UniqueFd file_;
  std::string name_;
  Digest digest_;
  IndexIdentity identity_;
  Part metadata_;
  ExtentMap map_{{}};
  std::vector<std::vector<ScannedSpan>> spans_;
  std::vector<Digest> spans_digests_;
  std::vector<Part> windows_;
};

}  // namespace erofs_oci
