#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is restarted and killed under readers of a whole image, whose index, disk cache and registry it needs: with and without
# the cache, no read fails, and no byte is wrong.
# kernel: any
# needs: project
# timeout: 900
. /host/tests/guest/lib.sh

image=/host/results/image
rounds=$(rounds 3)
counter() { erofs-oci status whole --json | jq ".mounts[0].counters.$1"; }

use_daemon
start_registry
push_layout team/image image "$image/layout"
mkdir -p /etc/erofs-oci /srv/whole
# Little memory: it has room for a part of what is read, and a new daemon has nothing in it.
echo 'memory_limit = "32MiB"' >/etc/erofs-oci/erofs-ocid.conf
for cache in true false; do
  for transport in nbd fuse; do
    printf '%s\n' "image = \"$registry/team/image:image\"" 'mountpoint = "/srv/whole"' "transport = \"$transport\"" '[registry]' \
      'insecure = true' '[cache]' "enabled = $cache" >/etc/erofs-oci/whole.toml
    start whole "$transport"
    start_checked_reader /srv/whole "$image/sums"
    for ((round = 1; round <= rounds; ++round)); do
      old=$(daemon_pid)
      check systemctl restart erofs-ocid
      [[ $(daemon_pid) != "$old" ]] || die 'the restart left the old daemon running'
      checked_goes_on 60
      sleep "1.$((RANDOM % 10))"
      old=$(daemon_pid)
      kill -KILL "$old"
      wait_until 30 daemon_is_new "$old"
      checked_goes_on 60
      sleep "1.$((RANDOM % 10))"
    done
    fetched=$(counter fetched_bytes)
    # The registry and the inflating share the guest's processor with the restarts: 0.5 to 2 s, and 6.6 s beside builds. A request that had
    # to wait for the queue's time-out would take 30 s.
    stop_checked_reader "$rounds restarts and kills over $transport, cache enabled = $cache" 20000
    echo "the last daemon fetched $fetched bytes for $(counter misses) spans that it did not hold"
    # The first start, which built the index, has left all data on disk. A byte, to see that the registry gives ranges.
    case $cache in
      true) ((fetched <= 5)) || die "$fetched bytes were fetched, though all is on disk" ;;
      false) ((fetched > 100000)) || die "only $fetched bytes were fetched, though nothing is on disk" ;;
    esac
    stop whole
    leftovers
    if [[ $transport == nbd ]]; then
      no_io_errors
    else
      dmesg --clear # for the next round: this kernel fails a request over fuse, as in daemon_killed
    fi
  done
done
