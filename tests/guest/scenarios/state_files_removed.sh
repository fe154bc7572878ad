#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The state files of mounts are removed under them: reads go on, over a restart and a crash of the daemon, too, and whatever is to
# unmount them finds them still. An umount by hand ends the unit, also where the definition is gone, and spares the next mount.
# kernel: any
# needs: project
# timeout: 600
. /host/tests/guest/lib.sh

remove_states() { rm -r /run/erofs-oci/mounts; }
is_inactive() { [[ $(state_of "$1") == inactive ]]; }

use_daemon
for transport in nbd fuse; do
  define tools "transport = \"$transport\""
  start tools "$transport"
  mkdir -p /srv/bound
  check mount --bind /srv/tools /srv/bound # what is to be unmounted is the mount, not this
  check umount /srv/bound
  start_reader /srv/tools
  remove_states
  reader_goes_on 60
  check systemctl restart erofs-ocid
  reader_goes_on 60
  kill -KILL "$(daemon_pid)"
  reader_goes_on 60
  is_listed tools || die 'status does not name the mount'
  check_fails erofs-oci reload tools 2>/run/said
  grep -q 'its state file was removed' /run/said || die "reload says: $(</run/said)"
  [[ ! -e /run/erofs-oci/mounts/tools.json ]] || die 'a state has come from nowhere'
  stop_reader
  stop tools
  leftovers
  ok "a stop, $transport"

  start tools "$transport"
  remove_states
  check umount /srv/tools
  wait_until 10 is_inactive tools
  leftovers
  ok "an umount by hand, $transport"

  start tools "$transport"
  remove_states
  check mount --bind /srv/tools /srv/bound
  check_fails erofs-oci umount tools # which leaves it to the other user
  golden_check /srv/bound
  [[ $(findmnt --noheadings --output FSTYPE --mountpoint /srv/bound) == erofs ]] || die 'the bind mount was unmounted'
  check umount /srv/bound
  check erofs-oci umount tools
  wait_until 10 is_inactive tools
  leftovers
  ok "an umount beside a bind mount, $transport"

  start tools "$transport"
  remove_states
  check erofs-oci umount --all
  wait_until 10 is_inactive tools
  leftovers
  ok "umount --all, $transport"

  start tools "$transport"
  rm /etc/erofs-oci/tools.toml
  check systemctl daemon-reload
  check umount /srv/tools
  wait_until 10 is_inactive tools
  leftovers
  ok "an umount by hand where the definition is gone, $transport"
done

define tools
start tools
check umount /srv/tools
check erofs-oci mount tools
sleep 3 # what an umount leaves to be done for its unit would unmount this
golden_check /srv/tools
check erofs-oci umount tools
leftovers
ok 'a mount by hand right behind an umount by hand'
no_io_errors
