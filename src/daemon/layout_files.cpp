// SPDX-License-Identifier: Apache-2.0
#include "daemon/layout_files.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "control/files_wanted.h"
#include "source/local_file.h"
#include "source/read_stream.h"
#include "tar/reader.h"

namespace erofs_oci {
namespace {

/// An archive's headers are read in pieces of this size.
constexpr uint64_t kPiece = 4 * kKiB;
/// The most of an archive that is read to find its members: a layout has few, and short names.
constexpr uint64_t kMaxHeaders = 64 * kMiB;

/// The members that a layout has, where their data lie; a later one of the same name replaces the former.
class MemberWalk {
 public:
  explicit MemberWalk(RangeReader& archive)
      : archive_(archive), tar_([this](TarMember&& member) { note(member); }) {}

  std::map<std::string, ByteRange> run() {
    const uint64_t size = archive_.size_bytes();
    for (uint64_t offset = 0; offset < size;) {
      uint64_t step = std::min(tar_.skippable(), size - offset);
      if (step > 0) {
        tar_.skip(step);
      } else {
        step = std::min(kPiece, size - offset);
        feed({offset, step});
      }
      offset += step;
    }
    tar_.finish();
    return std::move(members_);
  }

 private:
  void feed(ByteRange range) {
    read_ += range.length;
    if (read_ > kMaxHeaders) {
      throw make_error(ErrorKind::unsupported, "it has more than {} of headers; is it an image layout?",
                       human_size(kMaxHeaders));
    }
    tar_.feed(read_blob(archive_, range));
  }

  void note(const TarMember& member) {
    std::string_view name = member.path;
    while (name.starts_with("./")) name.remove_prefix(2);
    if (member.type != TarType::regular || !is_layout_file(name)) return;
    ByteRange range;
    if (member.size > 0) {
      if (member.data.size() != 1 || member.data[0].length != member.size) {
        throw make_error(ErrorKind::unsupported, "{} is stored as a sparse file", name);
      }
      range = {member.data[0].archive_offset, member.size};
    }
    members_[std::string(name)] = range;
  }

  RangeReader& archive_;
  TarReader tar_;
  uint64_t read_ = 0;
  std::map<std::string, ByteRange> members_;
};

}  // namespace

LayoutFolder::LayoutFolder(const std::map<std::string, UniqueFd>& files, const std::string& path,
                           WorkerPool& workers) {
  for (const auto& [name, fd] : files) {
    files_[name] = std::make_shared<LocalFile>(duplicate(fd.get()), path + "/" + name, workers);
  }
}

std::vector<LayoutFile> LayoutFolder::get(const std::vector<std::string>& names) const {
  std::vector<LayoutFile> found;
  FilesWanted wanted;
  for (const std::string& name : names) {
    const auto file = files_.find(name);
    if (file != files_.end()) {
      found.push_back({file->second, {0, file->second->size_bytes()}, file->second->name()});
    } else if (std::ranges::find(wanted.names, name) == wanted.names.end()) {
      wanted.names.push_back(name);
    }
  }
  if (!wanted.names.empty()) throw wanted;
  return found;
}

LayoutArchive::LayoutArchive(std::shared_ptr<RangeReader> archive) : archive_(std::move(archive)) {
  members_ = with_context(archive_->name(), [&] { return MemberWalk(*archive_).run(); });
}

std::vector<LayoutFile> LayoutArchive::get(const std::vector<std::string>& names) const {
  std::vector<LayoutFile> found;
  for (const std::string& name : names) {
    const auto member = members_.find(name);
    if (member == members_.end()) {
      throw make_error(ErrorKind::not_found, "{} has no {}{}", archive_->name(), name,
                       name == "index.json" ? ": it is no archive of an OCI image layout" : "");
    }
    found.push_back({archive_, member->second, fmt::format("{} in {}", name, archive_->name())});
  }
  return found;
}

}  // namespace erofs_oci
