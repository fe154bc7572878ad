#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# systemctl restart of the daemon under a mount that is being read: no read fails, the mount goes on by itself.
# needs: project
# timeout: 900
. /host/tests/guest/lib.sh

use_daemon
for transport in nbd fuse; do
  define tools "transport = \"$transport\""
  start tools "$transport"
  start_reader /srv/tools
  for round in {1..5}; do
    old=$(daemon_pid)
    check systemctl restart erofs-ocid
    [[ $(daemon_pid) != "$old" ]] || die 'the restart left the old daemon running'
    reader_goes_on 60
    ok "$transport: restart $round"
  done
  stop_reader
  [[ $(state_of tools) == active ]] || die "the mount is $(state_of tools)"
  is_listed tools || die 'the new daemon does not name the mount'
  drop_caches
  golden_check /srv/tools
  stop tools
  leftovers
  no_io_errors

  # The next mount is as good as the first.
  start tools "$transport"
  golden_check /srv/tools
  stop tools
  leftovers
done
