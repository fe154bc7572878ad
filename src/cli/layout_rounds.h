// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>

#include "base/unique_fd.h"
#include "config/image_source.h"
#include "control/files_wanted.h"

namespace erofs_oci {

/// Opens files of an image layout for the daemon, which learns from each which it needs next. It is trusted
/// less than we are, so it gets nothing but regular files of a layout's names, beneath the layout's folder,
/// and not through symlinks. One thread at a time.
class LayoutRounds {
 public:
  /// index.json, an index, a manifest, layers and configuration: four, where nothing is odd.
  static constexpr int kMaxRounds = 6;

  explicit LayoutRounds(const ImageSource& source) : source_(source) {}

  /// The files that are wanted now. Throws Error where one cannot be opened, where the daemon asks too often
  /// or for too much, and where the image is no layout in a folder.
  std::map<std::string, UniqueFd> open(const FilesWanted& wanted);

 private:
  UniqueFd open_file_of_layout(const std::string& name);

  const ImageSource source_;
  UniqueFd folder_;
  int rounds_ = 0;
  std::set<std::string> opened_;
};

/// Error invalid unless `fd` is a regular file.
void check_regular_file(int fd, const std::string& name);

}  // namespace erofs_oci
