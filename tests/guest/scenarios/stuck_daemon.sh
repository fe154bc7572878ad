#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon stands still under mounts that are being read: systemd's watchdog has a new one started, and no read fails.
# kernel: any
# needs: project
# timeout: 300
. /host/tests/guest/lib.sh

set_daemon WatchdogSec=4s
use_daemon
for transport in nbd fuse; do
  define_large large "transport = \"$transport\""
  start large "$transport"
  start_checked_reader /srv/large /var/lib/large.sums
  old=$(daemon_pid)
  stopped=$(date +%s)
  kill -STOP "$old"
  wait_until 30 daemon_is_new "$old"
  checked_goes_on 60
  journalctl --unit erofs-ocid --since "@$stopped" --grep 'Watchdog timeout' >/dev/null || die 'it was not the watchdog'
  stop_checked_reader "a daemon that stands still, over $transport" 15000
  stop large
  leftovers
  ok "$transport: a new daemon"
done
no_io_errors
