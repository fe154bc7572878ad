#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where the service manager has no descriptors for a new daemon, or those of a stranger, mounts over nbd are given new
# connections, and no read fails.
# needs: project
# timeout: 600
. /host/tests/guest/lib.sh

rounds=$(rounds 1)
lives=$((rounds + 4))
kill_daemon() {
  local old
  old=$(daemon_pid)
  kill -KILL "$old"
  wait_until 30 daemon_is_new "$old"
  checked_goes_on 60
}
store_stranger() { check python3 /host/tests/guest/tools/store_descriptor.py erofs-ocid.service "$1"; }

use_daemon
define_large large 'transport = "nbd"'
start large
io_timeout=$(cat "/sys/block/nbd$(jq .nbd_index /run/erofs-oci/mounts/large.json)/queue/io_timeout")
start_checked_reader /srv/large /var/lib/large.sums

# A stop empties the store.
check systemctl stop erofs-ocid.service
(($(stored_descriptors) == 0)) || skip 'this service manager keeps descriptors over a stop'
check systemctl start erofs-ocid.service
checked_goes_on 60
ok 'stopped and started'

# What waits to be given a new connection, and is defined no more, keeps what it is served from: gc itself starts the daemon.
in_store() { find /var/lib/erofs-oci -mindepth 2 -type f | sort; }
if has_small_blocks; then
  define tools
  start tools nbd
  kept=$(in_store)
  [[ -n $kept ]] || die 'the store has nothing to lose'
  mv /etc/erofs-oci/tools.toml /run
  check systemctl stop erofs-ocid.service
  check systemctl mask --runtime --quiet erofs-oci-reattach.service
  check erofs-oci cache gc
  check systemctl unmask --runtime --quiet erofs-oci-reattach.service
  [[ $(in_store) == "$kept" ]] || die "cache gc removed what a mount needs: $(diff <(echo "$kept") <(in_store))"
  check systemctl start erofs-oci-reattach.service
  checked_goes_on 60
  drop_caches
  golden_check /srv/tools
  stop tools
  lives=$((lives + 1))
  ok 'cache gc leaves alone what waits to be reattached'
fi

# Beside its own: one under a name that means nothing, and one of a mount that there is not.
set_daemon NotifyAccess=all
stored=$(stored_descriptors)
store_stranger stranger
store_stranger 0123456789abcdef0123456789abcdef.image
(($(stored_descriptors) == stored + 2)) || die "$(stored_descriptors) descriptors are stored, not $stored and 2"
kill_daemon
(($(journal_count 'stranger: .* by whom is not known; dropping it') == 1)) || die 'nothing is said of the stranger'
(($(journal_count 'dropping.*0123456789abcdef0123456789abcdef|0123456789abcdef0123456789abcdef.*dropping') == 1)) || die 'nothing is said of what no mount has'
is_restored() { (($(stored_descriptors) == stored)); }
wait_until 10 is_restored
(($(journal_count 'goes on over') == 1)) || die 'the mount did not go on with its own'
ok 'strangers beside its own are dropped'

# In the place of its own.
store_stranger "$(jq --raw-output .generation /run/erofs-oci/mounts/large.json).connection"
(($(stored_descriptors) == stored)) || die "$stored descriptors were stored, now $(stored_descriptors)"
kill_daemon
ok 'a stranger in the place of its own'

# A store that takes nothing.
set_daemon FileDescriptorStoreMax=0
check systemctl stop erofs-ocid.service
check systemctl start erofs-ocid.service
went_on=$(journal_count 'goes on over')
for ((round = 1; round <= rounds; ++round)); do
  checked_goes_on 60
  (($(stored_descriptors) == 0)) || die "$(stored_descriptors) descriptors are stored"
  sleep "0.$((RANDOM % 10))"
  kill_daemon
done
(($(journal_count 'goes on over') == went_on)) || die 'something was stored'
stop_checked_reader "$lives lives with nothing or strangers stored" "$((io_timeout + 2000))"
set_daemon
stop large
leftovers
no_io_errors
