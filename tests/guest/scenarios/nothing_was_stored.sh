#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where the service manager has no descriptors for a new daemon, or those of a stranger, mounts over nbd are given new
# connections, and no read fails.
# needs: project
# timeout: 600
. /host/tests/guest/lib.sh

rounds=$(rounds 1)
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

# A store that takes nothing.
set_daemon FileDescriptorStoreMax=0
check systemctl stop erofs-ocid.service
check systemctl start erofs-ocid.service
for ((round = 1; round <= rounds; ++round)); do
  checked_goes_on 60
  (($(stored_descriptors) == 0)) || die "$(stored_descriptors) descriptors are stored"
  old=$(daemon_pid)
  sleep "0.$((RANDOM % 10))"
  kill -KILL "$old"
  wait_until 30 daemon_is_new "$old"
done
checked_goes_on 60
(($(journal_count 'goes on over') == 0)) || die 'something was stored'
stop_checked_reader "$((rounds + 2)) lives without a store" "$((io_timeout + 2000))"
set_daemon
stop large
leftovers
no_io_errors
