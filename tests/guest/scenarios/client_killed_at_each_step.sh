#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The client dies after each step of a mount: the next mount works, and so does the next umount instead.
# needs: project
# timeout: 600
. /host/tests/guest/lib.sh

# dies_after STEP: the client ends by its own SIGKILL, as it is told by its environment
dies_after() {
  local code=0
  EROFS_OCI_CRASH_AFTER=$1 erofs-oci mount tools || code=$?
  ((code == 137)) || die "the client was to die after step $1; it ended with exit code $code"
}

use_daemon
define tools
erofs-oci mount tools
erofs-oci umount tools
stored=$(stored_descriptors)
for step in locked opened state-written connected served queue-set mounted recorded; do
  dies_after "$step"
  check erofs-oci mount tools
  drop_caches
  golden_check /srv/tools
  (($(findmnt --noheadings --mountpoint /srv/tools | wc -l) == 1)) || die "mounted twice after a death at $step"
  check erofs-oci umount tools
  leftovers

  dies_after "$step"
  erofs-oci umount tools || echo "umount: exit code $?" # whether there was something to do depends on the step
  leftovers
  ! is_listed tools || die "the daemon has the mount still, after a death at $step and an umount"
  [[ $(stored_descriptors) == "$stored" ]] || die "$stored descriptors were stored, now $(stored_descriptors)"
  ok "$step"
done
no_io_errors
