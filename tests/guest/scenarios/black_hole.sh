#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Packets to the registry are dropped under mounts that are being read: reads wait, or fail at their deadline, as declared; nothing
# else is held up, the kernel says little, and what stops a mount ends in time.
# needs: project
# timeout: 900
. /host/tests/guest/lib.sh

# define_hole NAME LINE…: lines of [io]; an image of noise, nothing of which is kept on disk
define_hole() {
  local name=$1
  shift
  mkdir -p /etc/erofs-oci "/srv/$name"
  printf '%s\n' "image = \"$registry/team/noise:1.0\"" 'platform = "linux/amd64"' "mountpoint = \"/srv/$name\"" \
    "transport = \"$transport\"" '[registry]' 'insecure = true' '[cache]' 'enabled = false' '[io]' "$@" >"/etc/erofs-oci/$name.toml"
}
# Mounted with nothing but its tree in memory, and then nobody to read from.
start_and_vanish() {
  define_hole hole "$@"
  start hole "$transport"
  drop_caches
  drop_packets
}
# kernel_lines: how many the kernel has said in this boot: the number of the last (dev-kmsg, "prefix,sequnum,…")
kernel_lines() { { dd if=/dev/kmsg bs=8k iflag=nonblock 2>/dev/null || true; } | grep -aE '^[0-9]+,[0-9]+,' | tail -n 1 | cut -d , -f 2; }
# others_go_on: the daemon answers, and another mount is read, all within ten seconds
others_go_on() {
  check timeout 10 erofs-oci status >/run/status
  drop_caches
  (cd /srv/other && check timeout 10 sha256sum --quiet --check "$data/layer.sha256")
}
hole_check() { (cd "/srv/${1-hole}" && check sha256sum --quiet --check /var/lib/noise.sums); }
# start_blocked_readers NAME…: one of each file in the background, but for the first: the kernel has read ahead from the tree into them;
# their pids in $readers
start_blocked_readers() {
  local name file
  readers=()
  for name; do
    for file in {20..45}; do
      cat "/srv/$name/$file" >/dev/null 2>>/run/readers.said &
      readers+=("$!")
    done
  done
}
none_is_left() { ! kill -0 "${readers[@]}" 2>/dev/null; }
blocked() { local pid; for pid in "${readers[@]}"; do ! kill -0 "$pid" 2>/dev/null || return 0; done; return 1; }
# stop_in_time: within ten seconds; its exit code in $code, when it began in $stopped
stop_in_time() {
  local begin=$SECONDS
  code=0 stopped=$(date +%s)
  systemctl stop "$(unit hole)" 2>/run/stop.said || code=$?
  echo "systemctl stop took $((SECONDS - begin)) s"
  ((SECONDS - begin <= 10)) || die "systemctl stop took $((SECONDS - begin)) s"
}

use_daemon
start_registry
mkdir /var/lib/noise
for file in {10..45}; do head -c 700000 /dev/urandom >"/var/lib/noise/$file"; done
(cd /var/lib/noise && sha256sum -- * >/var/lib/noise.sums && tar -czf /var/lib/noise.tar.gz -- *)
push_layer team/noise 1.0 /var/lib/noise.tar.gz
rm -r /var/lib/noise /var/lib/noise.tar.gz
define_local other
start other
for transport in nbd fuse; do
  # The first start builds the index, with the registry there.
  define_hole hole 'on_unavailable = "wait"'
  start hole "$transport"
  hole_check
  stop hole

  start_and_vanish 'on_unavailable = "fail"' 'deadline = "5s"'
  begin=$SECONDS
  check_fails timeout 60 cat "/srv/hole/45" >/dev/null 2>/run/cat.said
  grep -q 'Input/output error' /run/cat.said || die "the read said: $(</run/cat.said)"
  ((SECONDS - begin >= 4 && SECONDS - begin <= 20)) || die "the read failed after $((SECONDS - begin)) s, its deadline was 5 s"
  others_go_on
  pass_packets
  wait_until 60 cat "/srv/hole/45"
  drop_caches
  hole_check
  stop hole
  ok "$transport: reads fail at their deadline, and succeed once packets pass"

  define_hole pit 'on_unavailable = "wait"'
  start pit "$transport"
  start_and_vanish 'on_unavailable = "wait"'
  start_blocked_readers hole pit
  sleep 5
  before=$(kernel_lines)
  for ((i = 0; i < 6; ++i)); do
    sleep 10
    others_go_on
  done
  said=$(($(kernel_lines) - before))
  echo "$transport: $said lines of the kernel in a minute of ${#readers[@]} blocked readers of two mounts"
  ((said < 60)) || die "$said lines of the kernel in a minute"
  blocked || die 'no read waits'
  pass_packets
  wait_until 90 none_is_left
  [[ ! -s /run/readers.said ]] || die "a reader that waited failed: $(head -n 2 /run/readers.said)"
  hole_check
  hole_check pit
  stop hole
  stop pit
  ok "$transport: reads wait, nothing else does, and they go on"

  start_and_vanish 'on_unavailable = "wait"'
  start_blocked_readers hole
  sleep 3
  stop_in_time
  ((code == 0)) || die "the stop of a mount whose reads waited failed: $(</run/stop.said)"
  wait_until 10 none_is_left
  ! findmnt /srv/hole >/dev/null || die 'it is mounted after the stop'
  rm -f /run/readers.said
  pass_packets
  ok "$transport: a stop fails the reads that wait, and ends"

  start_and_vanish 'on_unavailable = "wait"'
  (cd /srv/hole && exec sleep 600) &
  holder=$!
  start_blocked_readers hole
  sleep 3
  stop_in_time
  wait_until 10 none_is_left
  [[ $(state_of hole) == failed ]] || die "a mount in use is $(state_of hole) after the stop"
  check findmnt /srv/hole >/dev/null
  grep -q 'sleep' < <(journalctl --unit "$(unit hole)" --since "@$stopped" --output cat) || die 'the journal does not name who uses the mount'
  pass_packets
  drop_caches
  wait_until 60 cat "/srv/hole/45"
  hole_check
  kill "$holder"
  wait "$holder" || true
  check erofs-oci umount hole
  systemctl reset-failed "$(unit hole)"
  rm -f /run/readers.said
  ok "$transport: a mount in use is left mounted and served, its users named"
done
stop other
leftovers
