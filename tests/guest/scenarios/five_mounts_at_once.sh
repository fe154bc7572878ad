#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Five mounts started at once, read at once, stopped at once; one of them stopped leaves the others alone.
# kernel: any
# needs: project
. /host/tests/guest/lib.sh

names=(one two three four five)
units=()
use_daemon
for name in "${names[@]}"; do
  define "$name"
  units+=("$(unit "$name")")
done

check systemctl start "${units[@]}"
pids=()
for name in "${names[@]}"; do
  is_listed "$name" || die "status does not name $name"
  golden_check "/srv/$name" &
  pids+=($!)
done
for pid in "${pids[@]}"; do check wait "$pid"; done
ok 'five mounts were read at once'

stop three
[[ ! $(findmnt --mountpoint /srv/three) ]] || die '/srv/three is mounted after its stop'
drop_caches
for name in one two four five; do golden_check "/srv/$name"; done
ok 'four mounts go on without the fifth'

check systemctl stop "${units[@]}"
leftovers
no_io_errors
