// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "base/unique_fd.h"
#include "config/definition.h"

namespace erofs_oci {

/// The credentials for the definition's registry, as the memfd with JSON that the daemon takes; nullopt where there are
/// none. Looked for in this order (erofs-oci.toml(5)): [registry] credential, a file of that name in
/// $CREDENTIALS_DIRECTORY or an absolute path; a file of the mount's name in $CREDENTIALS_DIRECTORY; $REGISTRY_AUTH_FILE;
/// $DOCKER_CONFIG/config.json; ~/.docker/config.json; /etc/erofs-oci/auth.json. A file holds "username:password" or is a
/// docker config.json. Error invalid or not_found where a file that was named is missing or says nothing of the registry.
std::optional<UniqueFd> find_credentials(const Definition& definition);

}  // namespace erofs_oci
