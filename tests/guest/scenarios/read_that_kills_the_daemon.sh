#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A read that kills the daemon each time fails in the end; nothing else does, of that mount or of others.
# kernel: any
# needs: project
# timeout: 300
. /host/tests/guest/lib.sh

use_daemon
mkdir /run/tree
echo harmless >/run/tree/harmless
{ head -c 64K /dev/urandom; echo 'here it dies'; head -c 64K /dev/urandom; } >/run/tree/poisoned
mkfs.erofs --quiet /var/lib/poison.erofs /run/tree
offset=$(grep --byte-offset --only-matching --text 'here it dies' /var/lib/poison.erofs | cut -d: -f1)

for transport in nbd fuse; do
  define_large large "transport = \"$transport\""
  mkdir -p /srv/poison
  printf '%s\n' 'image = "file:/var/lib/poison.erofs"' 'mountpoint = "/srv/poison"' "transport = \"$transport\"" \
    >/etc/erofs-oci/poison.toml
  set_daemon "Environment=EROFS_OCID_CRASH_ON_READ=poison:$offset"
  systemctl try-restart erofs-ocid
  start large "$transport"
  start poison "$transport"
  start_checked_reader /srv/large /var/lib/large.sums
  old=$(daemon_pid)
  check_fails cat /srv/poison/poisoned >/dev/null
  wait_until 30 daemon_is_new "$old"
  [[ $(systemctl show --property NRestarts --value erofs-ocid) -ge 3 ]] || die 'the read failed before the daemon died three times'
  old=$(daemon_pid)
  [[ $(</srv/poison/harmless) == harmless ]] || die 'another file of the mount cannot be read'
  checked_goes_on 60
  wait_until 10 is_listed poison
  [[ $(erofs-oci status --json poison | jq --raw-output '.. | .reason? // empty' | head -n 1) == *'died three times'* ]] ||
    die "status does not tell: $(erofs-oci status --json poison)"
  [[ $(daemon_pid) == "$old" ]] || die 'the daemon died once more'
  stop_checked_reader "a read that kills, over $transport" 30000
  set_daemon
  check systemctl restart erofs-ocid
  drop_caches
  cmp /srv/poison/poisoned /run/tree/poisoned || die 'without what kills it the file cannot be read'
  stop poison
  stop large
  leftovers
done
