#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon of `run` is killed under a mount over nbd that is in use: run ends, and so do the reads, which no daemon will answer.
# kernel: any
# needs: project
# timeout: 300
. /host/tests/guest/lib.sh

check modprobe nbd
define_large large 'transport = "nbd"'
erofs-oci run /etc/erofs-oci/large.toml >/run/run.out 2>&1 &
run=$!
is_mounted() { [[ $(transport_of large) == nbd ]]; }
wait_until 60 is_mounted
exec 9</srv/large/1
drop_caches
kill -KILL "$(pgrep --parent "$run" --exact erofs-ocid)"
cat <&9 >/run/read 2>/run/read.err &
reader=$!
ended() { ! kill -0 "$1" 2>/dev/null; }
wait_until 30 ended "$reader"
check_fails wait "$reader"
wait_until 30 ended "$run"
check_fails wait "$run"
grep -q 'its daemon is gone' /run/run.out || die "run says: $(</run/run.out)"
exec 9<&-
leftovers
ok 'neither run nor its reader waits'
