#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fifty mounts started at once, read, and stopped at once: all succeed, nothing is left of them.
# needs: project
# timeout: 600
. /host/tests/guest/lib.sh

units=()
use_daemon
for i in {1..50}; do
  define "m$i"
  units+=("$(unit "m$i")")
done
check systemctl daemon-reload

for ((round = 1; round <= $(rounds 1); ++round)); do
  SECONDS=0
  check systemctl start "${units[@]}"
  took=$SECONDS
  (($(findmnt --noheadings --types erofs | wc -l) == 50)) || die "$(findmnt --noheadings --types erofs | wc -l) are mounted"
  for i in {1..50}; do
    [[ $(ls "/srv/m$i") ]] || die "/srv/m$i is empty"
  done
  golden_check /srv/m50
  SECONDS=0
  check systemctl stop "${units[@]}"
  ok "round $round: 50 started in $took s, stopped in $SECONDS s"
  leftovers
  [[ $(find /run/erofs-oci -name '*.lock' | wc -l) -le 50 ]] || die 'locks pile up'
  case $round in
    1) descriptors=$(daemon_descriptors) stored=$(stored_descriptors) ;;
    *)
      (($(daemon_descriptors) <= descriptors)) || die "the daemon had $descriptors descriptors, it has $(daemon_descriptors)"
      [[ $(stored_descriptors) == "$stored" ]] || die "$stored descriptors were stored, now $(stored_descriptors)" ;;
  esac
done
no_io_errors
