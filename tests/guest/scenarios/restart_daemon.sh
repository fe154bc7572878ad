#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# systemctl restart of the daemon under a mount that is being read: no read fails, the mount goes on by itself.
# needs: project
. /host/tests/guest/lib.sh

use_daemon
define tools
start tools
start_reader /srv/tools
for round in {1..5}; do
  old=$(daemon_pid)
  check systemctl restart erofs-ocid
  [[ $(daemon_pid) != "$old" ]] || die 'the restart left the old daemon running'
  reader_goes_on 60
  ok "round $round"
done
stop_reader
[[ $(state_of tools) == active ]] || die 'the mount is not active any more'
is_listed tools || die 'the new daemon does not name the mount'
drop_caches
golden_check /srv/tools
stop tools
leftovers
no_io_errors

# The next mount is as good as the first.
start tools
golden_check /srv/tools
stop tools
leftovers
