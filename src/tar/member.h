// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace erofs_oci {

enum class TarType { regular, hard_link, symlink, character_device, block_device, directory, fifo };

/// Bytes [file_offset, file_offset + length) of a member are the archive's from archive_offset on.
struct TarData {
  uint64_t file_offset = 0;
  uint64_t archive_offset = 0;
  uint64_t length = 0;
  friend bool operator==(const TarData&, const TarData&) = default;
};

struct TarXattr {
  std::string name;  ///< with its namespace: "user.mime_type", "security.capability"
  std::string value;
  friend auto operator<=>(const TarXattr&, const TarXattr&) = default;
};

/// A member of an archive with all that its headers say of it (PAX records, GNU long names, sparse maps) put
/// together.
struct TarMember {
  std::string path;  ///< as written: may begin with "/" or "./", hold "..", end in "/"; never empty, no NUL
  std::string link;  ///< target of a symlink, as written; of a hard link, the path of another member
  TarType type = TarType::regular;
  uint16_t permissions = 0;  ///< 07777
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  int64_t mtime = 0;  ///< seconds
  uint32_t mtime_nanoseconds = 0;
  uint64_t size = 0;             ///< of a regular file, holes included
  std::vector<TarData> data;     ///< sorted, of length > 0; what they leave out is a hole
  std::vector<TarXattr> xattrs;  ///< sorted by name, each name once
  uint64_t header_offset = 0;    ///< of the member's own header block (for tarindex samples)
  bool has_acl = false;          ///< POSIX ACLs in text form were there (SCHILY.acl.*); they are not kept
  friend bool operator==(const TarMember&, const TarMember&) = default;
};

}  // namespace erofs_oci
