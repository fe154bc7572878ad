#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An enabled mount is there after a reboot, and a reboot while it is being read ends in seconds.
# needs: project
# timeout: 600
. /host/tests/guest/lib.sh

case $BOOT in
  1)
    use_daemon
    define tools
    has_small_blocks && check systemctl enable --quiet test-registry
    check systemctl enable --quiet "$(unit tools)"
    leftovers
    reboot_guest ;;
  2)
    wait_until 90 systemctl is-active "$(unit tools)"
    golden_check /srv/tools
    ok 'mounted at boot'
    start_reader /srv/tools
    date +%s >/var/shutdown_began
    reboot_guest ;;
  3)
    took=$((EPOCHSECONDS - $(cut -d. -f1 /proc/uptime) - $(cat /var/shutdown_began)))
    ((took < 30)) || die "the shutdown took $took s"
    ok "shut down while mounted and read in $took s"
    wait_until 90 systemctl is-active "$(unit tools)"
    golden_check /srv/tools
    stop tools
    leftovers
    no_io_errors ;;
esac
