#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL of the daemon under a mount that is being read: no read fails, the mount goes on by itself.
# needs: project
# timeout: 900
. /host/tests/guest/lib.sh

use_daemon
for transport in nbd fuse; do
  define tools "transport = \"$transport\""
  start tools "$transport"
  start_reader /srv/tools
  for round in {1..8}; do
    old=$(daemon_pid)
    sleep "0.$((RANDOM % 10))"
    kill -KILL "$old"
    wait_until 30 daemon_is_new "$old"
    reader_goes_on 60
    ok "$transport: kill $round"
  done
  stop_reader
  [[ $(state_of tools) == active ]] || die "the mount is $(state_of tools)"
  ! systemctl --quiet is-failed erofs-oci-reattach.service || die 'erofs-oci-reattach.service failed'
  drop_caches
  golden_check /srv/tools
  stop tools
  leftovers
  no_io_errors

  # Killed with nothing mounted, just before a start.
  kill -KILL "$(daemon_pid)"
  start tools "$transport"
  golden_check /srv/tools
  stop tools
  leftovers
done
