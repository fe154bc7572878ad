#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# systemctl restart of the daemon under mounts that are being read: no read fails or waits long, mounts go on by themselves.
# needs: project
# timeout: 900
. /host/tests/guest/lib.sh

restarts=$(rounds 5)
use_daemon
for transport in nbd fuse; do
  define tools "transport = \"$transport\""
  define_large large "transport = \"$transport\""
  start tools "$transport"
  start large "$transport"
  stored=$(stored_descriptors)
  start_reader /srv/tools
  start_checked_reader /srv/large /var/lib/large.sums
  for ((round = 1; round <= restarts; ++round)); do
    old=$(daemon_pid)
    check systemctl restart erofs-ocid
    [[ $(daemon_pid) != "$old" ]] || die 'the restart left the old daemon running'
    checked_goes_on 60
  done
  reader_goes_on 60
  [[ $(stored_descriptors) == "$stored" ]] || die "$stored descriptors were stored, now $(stored_descriptors)"
  stop_checked_reader "$restarts restarts over $transport" "$(pause_limit "$restarts" 1000)"
  stop_reader
  [[ $(state_of tools) == active ]] || die "the mount is $(state_of tools)"
  is_listed tools || die 'the new daemon does not name the mount'
  drop_caches
  golden_check /srv/tools

  # Whatever became of definition and registry: what is mounted goes on.
  rm /etc/erofs-oci/tools.toml
  ! registry_answers || stop_registry
  check systemctl restart erofs-ocid
  check ls -lR /srv/tools >/dev/null
  define_large large
  stop tools
  stop large
  leftovers
  no_io_errors
  (($(stored_descriptors) == 0)) || die "$(stored_descriptors) descriptors are stored for nothing"

  # The next mount is as good as the first.
  define tools "transport = \"$transport\""
  start tools "$transport"
  golden_check /srv/tools
  stop tools
  leftovers
done
((restarts < 5 || $(journal_count 'goes on over') >= restarts)) || die 'mounts do not go on by themselves'
