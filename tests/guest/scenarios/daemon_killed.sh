#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL of the daemon under mounts that are being read: no read fails or waits long, mounts go on by themselves.
# needs: project
# timeout: 900
. /host/tests/guest/lib.sh

kills=$(rounds 8)
use_daemon
for transport in nbd fuse; do
  define tools "transport = \"$transport\""
  define_large large "transport = \"$transport\""
  start tools "$transport"
  start large "$transport"
  start_reader /srv/tools
  start_checked_reader /srv/large /var/lib/large.sums
  for ((round = 1; round <= kills; ++round)); do
    old=$(daemon_pid)
    sleep "0.$((RANDOM % 10))"
    kill -KILL "$old"
    wait_until 30 daemon_is_new "$old"
    checked_goes_on 60
  done
  reader_goes_on 60
  stop_checked_reader "$kills kills over $transport" "$(pause_limit "$kills" 2000)"
  stop_reader
  if [[ $transport == nbd ]]; then
    cut=$(journal_count 'of a reply are still to be sent')
    echo "$cut kills in the middle of a reply, $(journal_count 'waiting for erofs-oci reattach') reattached"
    ((kills < 100 || cut >= 30)) || die "$cut of $kills kills were in the middle of a reply"
  fi
  # Or it would show little: the readers were busy all the time.
  ((kills < 100 || $(checked_sum bytes) >= 1 << 30)) || die "only $(checked_sum bytes) bytes were read meanwhile"
  [[ $(state_of tools) == active ]] || die "the mount is $(state_of tools)"
  ! systemctl --quiet is-failed erofs-oci-reattach.service || die 'erofs-oci-reattach.service failed'
  drop_caches
  golden_check /srv/tools
  stop tools
  stop large
  leftovers
  # Over fuse, this kernel fails the request that a killed process is just taking, where it has to look for the memory to put
  # it; what reads ahead is asked for again.
  [[ $transport == fuse ]] || no_io_errors

  # Killed with nothing mounted, just before a start.
  kill -KILL "$(daemon_pid)"
  start tools "$transport"
  golden_check /srv/tools
  stop tools
  leftovers
done
