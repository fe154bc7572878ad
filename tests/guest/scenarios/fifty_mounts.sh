#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fifty mounts started at once, read, and stopped at once, over nbd and over fuse, more than once: all succeed, nothing is left of
# them, nothing grows.
# kernel: any
# needs: project
# timeout: 900
. /host/tests/guest/lib.sh

units=()
use_daemon
for i in {1..50}; do
  define "m$i" 'transport = "nbd"'
  units+=("$(unit "m$i")")
done
check systemctl daemon-reload

rounds=$(rounds 2)
for transport in nbd fuse; do
  sed -i "s|^transport = .*|transport = \"$transport\"|" /etc/erofs-oci/m*.toml
  for ((round = 1; round <= rounds; ++round)); do
    SECONDS=0
    check systemctl start "${units[@]}"
    took=$SECONDS
    (($(findmnt --noheadings --types erofs | wc -l) == 50)) || die "$(findmnt --noheadings --types erofs | wc -l) are mounted"
    for i in {1..50}; do
      [[ $(ls "/srv/m$i") ]] || die "/srv/m$i is empty"
    done
    [[ $(transport_of m50) == "$transport" ]] || die "/srv/m50 is mounted over $(transport_of m50)"
    golden_check /srv/m50
    SECONDS=0
    check systemctl stop "${units[@]}"
    ok "$transport, round $round: 50 started in $took s, stopped in $SECONDS s"
    leftovers
    [[ $(find /run/erofs-oci -name '*.lock' | wc -l) -le 50 ]] || die 'locks pile up'
    if ((round == 1)); then
      descriptors=$(daemon_descriptors) stored=$(stored_descriptors)
    else
      (($(daemon_descriptors) <= descriptors)) || die "the daemon had $descriptors descriptors, it has $(daemon_descriptors)"
      (($(registry_connections) <= 16)) || die "the daemon keeps $(registry_connections) connections to one registry"
      [[ $(stored_descriptors) == "$stored" ]] || die "$stored descriptors were stored, now $(stored_descriptors)"
    fi
  done
done
no_io_errors
