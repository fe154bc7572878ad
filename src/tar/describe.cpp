// SPDX-License-Identifier: Apache-2.0
#include "tar/describe.h"

#include <limits>
#include <utility>

#include "base/error.h"

namespace erofs_oci {
namespace {

/// What Linux and EROFS can encode of a device number (include/linux/kdev_t.h: MINORBITS is 20,
/// new_encode_dev() keeps 12 bits of the major number).
constexpr int64_t kMaxDeviceMajor = (1 << 12) - 1;
constexpr int64_t kMaxDeviceMinor = (1 << 20) - 1;
constexpr int64_t kMaxId = std::numeric_limits<uint32_t>::max();
constexpr int64_t kPermissions = 07777;

int64_t required(std::optional<int64_t> value, std::string_view what) {
  if (!value) throw make_error(ErrorKind::corrupt, "its {} is no number within 64 bits", what);
  return *value;
}

uint32_t limited(std::optional<int64_t> value, std::string_view what, int64_t most) {
  const int64_t number = required(value, what);
  if (number < 0 || number > most) {
    throw make_error(ErrorKind::unsupported, "its {} is {}; Linux has 0 to {}", what, number, most);
  }
  return static_cast<uint32_t>(number);
}

void set_owner(TarMember& member, const TarHeader& header, const PaxFields& pax) {
  member.uid = limited(pax.uid ? pax.uid : header.uid, "owner", kMaxId);
  member.gid = limited(pax.gid ? pax.gid : header.gid, "group", kMaxId);
}

void set_time(TarMember& member, const TarHeader& header, const PaxFields& pax) {
  member.mtime = pax.mtime ? pax.mtime->seconds : required(header.mtime, "time");
  member.mtime_nanoseconds = pax.mtime ? pax.mtime->nanoseconds : 0;
}

void set_device(TarMember& member, const TarHeader& header, const PaxFields& pax) {
  if (member.type != TarType::character_device && member.type != TarType::block_device) return;
  const auto& major = pax.device_major ? pax.device_major : header.device_major;
  const auto& minor = pax.device_minor ? pax.device_minor : header.device_minor;
  member.device_major = limited(major, "major device number", kMaxDeviceMajor);
  member.device_minor = limited(minor, "minor device number", kMaxDeviceMinor);
}

void set_link(TarMember& member, TarHeader& header, TarOverrides& overrides) {
  if (member.type != TarType::hard_link && member.type != TarType::symlink) return;
  if (!overrides.long_link.empty()) {
    member.link = std::move(overrides.long_link);
  } else {
    member.link = std::move(overrides.pax.link ? *overrides.pax.link : header.link);
  }
  if (member.link.empty()) throw Error(ErrorKind::corrupt, "it is a link without a target");
}

/// bsdtar writes an attribute both ways; the SCHILY form needs no decoding and is taken.
void set_xattrs(TarMember& member, PaxFields& pax) {
  pax.xattrs.merge(pax.libarchive_xattrs);
  member.xattrs.reserve(pax.xattrs.size());
  while (!pax.xattrs.empty()) {
    auto node = pax.xattrs.extract(pax.xattrs.begin());
    member.xattrs.push_back({std::move(node.key()), std::move(node.mapped())});
  }
  member.has_acl = pax.has_acl;
}

}  // namespace

std::string take_path(TarHeader& header, TarOverrides& overrides) {
  PaxFields& pax = overrides.pax;
  std::string path = std::move(pax.sparse.name                ? *pax.sparse.name
                               : !overrides.long_name.empty() ? overrides.long_name
                               : pax.path                     ? *pax.path
                                                              : header.path);
  if (path.empty()) throw Error(ErrorKind::corrupt, "a member has no name");
  return path;
}

TarType tar_type(const TarHeader& header, const std::string& path) {
  switch (header.type) {
    case '1':
      return TarType::hard_link;
    case '2':
      return TarType::symlink;
    case '3':
      return TarType::character_device;
    case '4':
      return TarType::block_device;
    case '5':
    case 'D':  // GNU tar --incremental: a directory whose data are the names in it
      return TarType::directory;
    case '6':
      return TarType::fifo;
    default:
      // Old tars marked a directory by the slash alone; GNU tar and libarchive still heed it. POSIX and GNU
      // tar take an unknown type for a regular file, and Go too expects its data: so a layer that others read
      // is read.
      return path.ends_with('/') ? TarType::directory : TarType::regular;
  }
}

bool is_header_only(char type) {
  return type >= '1' && type <= '6';
}

void describe(TarMember& member, TarHeader& header, TarOverrides& overrides) {
  member.permissions = static_cast<uint16_t>(required(header.mode, "mode") & kPermissions);
  set_owner(member, header, overrides.pax);
  set_time(member, header, overrides.pax);
  set_device(member, header, overrides.pax);
  set_link(member, header, overrides);
  set_xattrs(member, overrides.pax);
}

}  // namespace erofs_oci
