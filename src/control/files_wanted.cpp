// SPDX-License-Identifier: Apache-2.0
#include "control/files_wanted.h"

namespace erofs_oci {

bool is_layout_file(std::string_view name) {
  constexpr std::string_view kBlobs = "blobs/sha256/";
  if (name == "index.json") return true;
  if (!name.starts_with(kBlobs)) return false;
  name.remove_prefix(kBlobs.size());
  return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace erofs_oci
