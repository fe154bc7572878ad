#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The queue of a mount over nbd: how long the same reads take by each of its settings, one changed at a time.
# needs: project
# timeout: 1800
. /host/tests/guest/lib.sh

rounds=$(rounds 15)
timed() { # COMMAND…: the milliseconds it takes with nothing cached
  local begin
  drop_caches
  begin=$EPOCHREALTIME
  "$@" >/dev/null
  awk -v begin="$begin" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.0f\n", (end - begin) * 1e3 }'
}
one_after_the_other() { cat /srv/large/*; }
four_at_once() {
  local first pids=() # no bare wait: other jobs of the scenario are none of this
  for first in 1 4 7 10; do cat "/srv/large/$first" "/srv/large/$((first + 1))" "/srv/large/$((first + 2))" & pids+=($!); done
  wait "${pids[@]}"
}
small_files() { find /srv/tree -type f -exec cat {} +; }

use_daemon
define_large large 'transport = "nbd"'
mkdir -p /srv/tree
[[ -f /var/lib/tree.erofs ]] || mkfs.erofs --quiet /var/lib/tree.erofs /usr/lib/python3.*
printf '%s\n' 'image = "file:/var/lib/tree.erofs"' 'mountpoint = "/srv/tree"' 'transport = "nbd"' >/etc/erofs-oci/tree.toml
start large
start tree
sum=$(sort /var/lib/large.sums | sha256sum)
[[ $(cd /srv/large && sha256sum -- * | sort | sha256sum) == "$sum" ]] || die 'what is read is not what was written'

set_all() { # KEY VALUE
  local name
  for name in large tree; do
    echo "$2" >"/sys/block/nbd$(jq .nbd_index "/run/erofs-oci/mounts/$name.json")/queue/$1" || return 1
  done
}
get() { sed 's/.*\[\(.*\)\].*/\1/' "/sys/block/nbd$(jq .nbd_index /run/erofs-oci/mounts/large.json)/queue/$1"; }
reads=(one_after_the_other four_at_once small_files)
median() { sort -n "$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
# measure KEY VALUE…: the values take turns, as a guest is now slow and now fast; the key is as it was afterwards
measure() {
  local key=$1 before value read round medians
  before=$(get "$key")
  shift
  for ((round = 0; round < rounds; ++round)); do
    for value; do
      set_all "$key" "$value" || die "$key cannot be $value"
      for read in "${reads[@]}"; do timed "$read" >>"/tmp/$key.$value.$read"; done
    done
  done
  for value; do
    medians=()
    for read in "${reads[@]}"; do medians+=("$(median "/tmp/$key.$value.$read")"); done
    printf '%-28s %14s %14s %14s\n' "$key = $value$([[ $value != "$before" ]] || echo ' (set)')" "${medians[@]}"
  done
  set_all "$key" "$before"
}
printf '%-28s %14s %14s %14s\n' "medians of $rounds, ms" '48 MiB' '4 at once' 'small files'
measure scheduler none mq-deadline
measure max_sectors_kb 128 512 1024 2048
measure nr_requests 4 8 24 64
measure read_ahead_kb 128 512 1024 2048 4096
stop large
stop tree
leftovers
