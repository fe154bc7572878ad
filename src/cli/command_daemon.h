// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/private_daemon.h"

namespace erofs_oci {

/// The daemon for one command, where there is no service: started by root it runs as user erofs-oci, or
/// nobody, without any right, and keeps what it keeps in the service's own store where that is its user's, and
/// reads from the service's cache; by anyone else as that user, with a store and a cache in the user's cache
/// folder.
PrivateDaemonOptions command_daemon();

}  // namespace erofs_oci
