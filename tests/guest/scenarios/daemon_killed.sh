#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL of the daemon under mounts that are being read: no read fails or waits long, mounts go on by themselves.
# needs: project
# timeout: 900
. /host/tests/guest/lib.sh

kills=$(rounds 8)
cut_replies() { journal_count 'of a reply are still to be sent'; }
# is_to_go_on NUMBER: as many kills as were asked for; where they are a hundred, more of them until 30 were in the middle of a reply over
# nbd, which about every third is
is_to_go_on() {
  (($1 > kills)) || return 0
  [[ $transport == nbd ]] && ((kills >= 100 && $1 <= 2 * kills && $(cut_replies) < 30))
}

use_daemon
for transport in nbd fuse; do
  define tools "transport = \"$transport\""
  define_large large "transport = \"$transport\""
  start tools "$transport"
  start large "$transport"
  start_reader /srv/tools
  start_checked_reader /srv/large /var/lib/large.sums
  round=0
  while is_to_go_on $((round += 1)); do
    old=$(daemon_pid)
    sleep "0.$((RANDOM % 10))"
    kill -KILL "$old"
    wait_until 30 daemon_is_new "$old"
    checked_goes_on 60
  done
  reader_goes_on 60
  stop_checked_reader "$((round - 1)) kills over $transport" "$(pause_limit "$kills" 2000)"
  stop_reader
  if [[ $transport == nbd ]]; then
    echo "$(cut_replies) kills in the middle of a reply, $(journal_count 'waiting for erofs-oci reattach') reattached"
    ((kills < 100 || $(cut_replies) >= 30)) || die "$(cut_replies) of $((round - 1)) kills were in the middle of a reply"
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
