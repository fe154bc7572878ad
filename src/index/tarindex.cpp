// SPDX-License-Identifier: Apache-2.0
#include "index/tarindex.h"

#include <sys/stat.h>

#include <algorithm>
#include <deque>

#include "base/byte_range.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "erofs/reader.h"
#include "tar/header.h"

namespace erofs_oci {
namespace {

/// So many inodes are looked at for samples.
constexpr size_t kMaxVisited = 2000;
/// A member's size field holds so much in octal; above, a PAX record or base-256 says the size.
constexpr uint64_t kMaxOctalSize = 077777777777;

erofs::Reader open_reader(int file, const std::string& name) {
  const auto size = static_cast<uint64_t>(stat_fd(file, name).st_size);
  return erofs::Reader(name, size, [file, name](uint64_t offset, MutableBytes out) {
    pread_exactly(file, offset, out, name);
  });
}

/// Collects regular files that begin in the archive, breadth first.
class Sampler {
 public:
  Sampler(const erofs::Reader& reader, uint64_t archive_size)
      : reader_(reader), archive_size_(archive_size) {}

  std::vector<TarSample> collect() {
    directories_.push_back(reader_.super().root_nid);
    while (!directories_.empty() && visited_ < kMaxVisited) {
      const uint64_t directory = directories_.front();
      directories_.pop_front();
      reader_.list(reader_.inode(directory), [&](const erofs::Entry& entry) { return visit(entry); });
    }
    return std::move(found_);
  }

 private:
  bool visit(const erofs::Entry& entry) {
    if (entry.name == "." || entry.name == "..") return true;
    const erofs::Inode inode = reader_.inode(entry.nid);
    if (S_ISDIR(inode.mode)) directories_.push_back(entry.nid);
    if (S_ISREG(inode.mode)) add_file(entry, inode);
    return ++visited_ < kMaxVisited;
  }

  void add_file(const erofs::Entry& entry, const erofs::Inode& inode) {
    const auto data = reader_.first_chunk(inode);
    if (!data) return;
    if (*data < kTarBlock || !ByteRange{*data, inode.size}.fits_in(archive_size_)) {
      throw make_error(ErrorKind::corrupt, "file '{}' lies outside the archive, at byte {}",
                       printable(entry.name), *data);
    }
    found_.push_back({std::string(entry.name), inode.size, *data - kTarBlock, inode.nlink == 1});
  }

  const erofs::Reader& reader_;
  const uint64_t archive_size_;
  std::deque<uint64_t> directories_;
  size_t visited_ = 0;
  std::vector<TarSample> found_;
};

std::string last_component(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

}  // namespace

Tarindex open_tarindex(int file, const std::string& name) {
  const erofs::Reader reader = open_reader(file, name);
  const erofs::ExtraDevice archive = reader.extra_device();
  const auto size = static_cast<uint64_t>(stat_fd(file, name).st_size);
  if (archive.offset_bytes < reader.super().size_bytes || archive.offset_bytes > size) {
    throw make_error(ErrorKind::corrupt,
                     "{}: its metadata ends at byte {}, the file has {}; was it truncated?", name,
                     archive.offset_bytes, size);
  }
  if (archive.size_bytes == 0) throw make_error(ErrorKind::corrupt, "{}: names an archive of no bytes", name);
  return {reader.super().block_size, archive.offset_bytes, archive.size_bytes};
}

std::vector<TarSample> pick_samples(int file, const std::string& name, size_t count) {
  const erofs::Reader reader = open_reader(file, name);
  std::vector<TarSample> all =
      with_context(name, [&] { return Sampler(reader, reader.extra_device().size_bytes).collect(); });
  std::ranges::sort(all, {}, &TarSample::header_offset);
  if (all.size() <= count || count < 2) {
    all.resize(std::min(all.size(), count));
    return all;
  }
  std::vector<TarSample> spread;
  for (size_t i = 0; i < count; ++i) spread.push_back(all[i * (all.size() - 1) / (count - 1)]);
  return spread;
}

void check_sample(const TarSample& sample, Bytes block) {
  const auto header = parse_tar_header(block);
  const auto refuse = [&](const std::string& found) {
    throw make_error(
        ErrorKind::corrupt,
        "the tarindex does not belong to this layer: file '{}' should begin at byte {} of its archive, "
        "where {}",
        printable(sample.name), sample.header_offset, found);
  };
  if (!header) refuse("no tar header stands");
  constexpr std::string_view kRegularTypes = "07";
  if (kRegularTypes.find(header->type) == std::string_view::npos) {
    refuse(fmt::format("an entry of type '{}' stands", printable({&header->type, 1})));
  }
  if (header->size != sample.size && sample.size <= kMaxOctalSize) {
    refuse(fmt::format("a file of {} bytes stands instead of {}", header->size, sample.size));
  }
  const bool comparable = sample.only_name && !header->path_may_be_cut;
  if (comparable && last_component(header->path) != sample.name) {
    refuse(fmt::format("'{}' stands", printable(header->path)));
  }
}

}  // namespace erofs_oci
