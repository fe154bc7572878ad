// SPDX-License-Identifier: Apache-2.0
#include "config/capabilities.h"

#include <array>
#include <string_view>

#include "base/error.h"

namespace erofs_oci {
namespace {

struct Lack {
  std::string_view key;
  bool (*is_asked_for)(const Definition&);
  std::string_view remedy;
};

constexpr std::array<Lack, 3> kLacks{{
    {"verity.root_hash", [](const Definition& d) { return d.verity_root_hash.has_value(); }, "leave it out"},
    {"registry.hosts_dir", [](const Definition& d) { return d.registry.hosts_dir.has_value(); },
     "leave it out"},
    {"index = \"registry\"", [](const Definition& d) { return d.index == IndexPolicy::registry; },
     "use build"},
}};

}  // namespace

void check_capabilities(const Definition& definition) {
  for (const Lack& lack : kLacks) {
    if (lack.is_asked_for(definition)) {
      throw make_error(ErrorKind::unsupported, "this version cannot do what {} asks for; {}", lack.key, lack.remedy);
    }
  }
}

}  // namespace erofs_oci
