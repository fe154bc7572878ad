// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "config/definition.h"

namespace erofs_oci {

/// Variables of the environment that say where credentials are, and their paths, absolute. No secrets.
using CredentialPaths = std::map<std::string, std::string>;

/// As they are now: $CREDENTIALS_DIRECTORY, $REGISTRY_AUTH_FILE, $DOCKER_CONFIG and $HOME, where they are
/// set.
CredentialPaths credential_paths();

/// The credentials for the definition's registry, as the memfd with JSON that the daemon takes; nullopt where
/// there are none. Looked for in this order (erofs-oci.toml(5)): [registry] credential, a file of that name
/// in $CREDENTIALS_DIRECTORY or an absolute path; a file of the mount's name in $CREDENTIALS_DIRECTORY;
/// $REGISTRY_AUTH_FILE; $DOCKER_CONFIG/config.json; ~/.docker/config.json; /etc/erofs-oci/auth.json. A file
/// holds "username:password" or is a docker config.json. What the variables said when it was mounted,
/// `remembered`, is looked at behind what they say now. Error invalid or not_found where a file that was
/// named is missing or says nothing of the registry.
std::optional<UniqueFd> find_credentials(const Definition& definition,
                                         const CredentialPaths& remembered = {});

}  // namespace erofs_oci
