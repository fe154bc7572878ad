// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace erofs_oci {

/// Has systemd stop erofs-oci@NAME.service, whose mount has been unmounted; does not wait. Where the unit does not hear of that
/// by the mount's own unit, as with a definition that was deleted or is newer than the last daemon-reload, it would stay active
/// with nothing mounted. Nothing where systemd does not run, or where the unit itself is what has called us.
void stop_instance(const std::string& name);

}  // namespace erofs_oci
