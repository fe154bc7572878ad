// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace erofs_oci {

/// Has systemd stop erofs-oci@NAME.service of each name, whose mount has been unmounted. Where the unit does
/// not hear of that by the mount's own unit, as with a definition that was deleted or is newer than the last
/// daemon-reload, it would stay active with nothing mounted. Waits until that is done, for a while: the stop
/// unmounts what bears the name, which may be a mount that somebody makes next. No lock of a mount is held
/// meanwhile. Nothing where systemd does not run, or where the unit itself is what has called us.
void stop_instances(const std::vector<std::string>& names);

}  // namespace erofs_oci
