// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/byte_range.h"
#include "base/range_reader.h"
#include "base/unique_fd.h"
#include "source/worker_pool.h"

namespace erofs_oci {

/// A file of a layout, or a part of an archive.
struct LayoutFile {
  std::shared_ptr<RangeReader> file;
  ByteRange part;
  std::string name;  ///< for messages
};

/// The files of an OCI image layout (image-spec, image-layout.md), by their names in it: is_layout_file().
/// Immutable.
class LayoutFiles {
 public:
  virtual ~LayoutFiles() = default;
  /// The files of these names, in their order. Throws Error not_found, or FilesWanted with all that are
  /// missing.
  virtual std::vector<LayoutFile> get(const std::vector<std::string>& names) const = 0;
};

/// A layout in a folder: those of its files that the client has opened. Missing ones are FilesWanted.
class LayoutFolder : public LayoutFiles {
 public:
  /// Takes duplicates of `files`. `path` is for messages.
  LayoutFolder(const std::map<std::string, UniqueFd>& files, const std::string& path, WorkerPool& workers);
  std::vector<LayoutFile> get(const std::vector<std::string>& names) const override;

 private:
  std::map<std::string, std::shared_ptr<RangeReader>> files_;
};

/// A layout in a tar file.
class LayoutArchive : public LayoutFiles {
 public:
  /// Reads the archive's headers, and no data, but for what lies between small members. Error corrupt or
  /// unsupported, naming the archive.
  explicit LayoutArchive(std::shared_ptr<RangeReader> archive);
  std::vector<LayoutFile> get(const std::vector<std::string>& names) const override;

 private:
  const std::shared_ptr<RangeReader> archive_;
  std::map<std::string, ByteRange> members_;
};

}  // namespace erofs_oci
