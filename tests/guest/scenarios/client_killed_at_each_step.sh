#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The client dies after each step of a mount: the next mount works, and so does the next umount instead.
# needs: project
# timeout: 900
. /host/tests/guest/lib.sh

# dies_after STEP: the client ends by its own SIGKILL, as it is told by its environment
dies_after() {
  local code=0
  EROFS_OCI_CRASH_AFTER=$1 erofs-oci mount tools || code=$?
  ((code == 137)) || die "the client was to die after step $1; it ended with exit code $code"
}

is_forgotten() { ! is_listed tools; }

use_daemon
modprobe nbd # the unit does it, a hand does it here
for transport in nbd fuse; do
  define tools "transport = \"$transport\""
  check erofs-oci mount tools
  check erofs-oci umount tools
  stored=$(stored_descriptors)
  for step in locked opened state-written connected served queue-set mounted recorded; do
    dies_after "$step"
    check erofs-oci mount tools
    [[ $(transport_of tools) == "$transport" ]] || die "mounted over $(transport_of tools)"
    drop_caches
    golden_check /srv/tools
    (($(findmnt --noheadings --mountpoint /srv/tools | wc -l) == 1)) || die "mounted twice after a death at $step"
    check erofs-oci umount tools
    leftovers

    dies_after "$step"
    erofs-oci umount tools || echo "umount: exit code $?" # whether there was something to do depends on the step
    leftovers
    wait_until 5 is_forgotten # by the daemon
    [[ $(stored_descriptors) == "$stored" ]] || die "$stored descriptors were stored, now $(stored_descriptors)"
    ok "$transport: $step"
  done
done
# The kernel may log failed reads here: udev probes a device whose server died with its client.
