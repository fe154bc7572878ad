// SPDX-License-Identifier: Apache-2.0
#include "daemon/file_image.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/file.h"
#include "config/image_source.h"
#include "erofs/super_block.h"
#include "index/layer_scan.h"
#include "source/local_file.h"
#include "source/read_stream.h"

namespace erofs_oci {
namespace {

Digest key_of(const struct stat& info) {
  const std::array<uint64_t, 5> facts{info.st_dev, info.st_ino, static_cast<uint64_t>(info.st_size),
                                      static_cast<uint64_t>(info.st_mtim.tv_sec),
                                      static_cast<uint64_t>(info.st_mtim.tv_nsec)};
  return sha256(std::as_bytes(std::span(facts)));
}

bool is_erofs(Bytes start, const std::string& name) {
  try {
    erofs::parse_super(start, name);
    return true;
  } catch (const Error&) {
    return false;  // a tar, or nothing that is known; what reads it will say
  }
}

std::string media_type_of(Bytes start, const std::string& name) {
  if (is_erofs(start, name)) return "application/vnd.erofs.layer.v1";
  switch (detect_format(start)) {
    case StreamFormat::gzip:
      return "application/vnd.oci.image.layer.v1.tar+gzip";
    case StreamFormat::zstd:
      return "application/vnd.oci.image.layer.v1.tar+zstd";
    case StreamFormat::plain:
      break;
  }
  return "application/vnd.oci.image.layer.v1.tar";
}

}  // namespace

FileImage::FileImage(const OpenInput& input, WorkerPool& workers) : name_(input.definition.image) {
  const std::string path = parse_image_source(name_).location;
  UniqueFd fd = duplicate(input.image.get());
  key_ = key_of(stat_fd(fd.get(), path));
  file_ = std::make_shared<LocalFile>(std::move(fd), path, workers);
  const uint64_t size = file_->size_bytes();
  if (size == 0) throw make_error(ErrorKind::corrupt, "{}: is empty", path);
  const auto start = read_blob(*file_, {0, std::min<uint64_t>(size, erofs::kSuperBytes)});
  layers_.push_back({.media_type = media_type_of(start, path), .digest = {}, .size_bytes = size});
}

LayerBlob FileImage::open_layer(size_t, Preflight) {
  return {std::make_shared<LocalBlob>(file_, ByteRange{0, file_->size_bytes()}, file_->name(), given_up_),
          nullptr};
}

}  // namespace erofs_oci
