#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A registry goes away, comes back and sends what is wrong: the journal tells by MESSAGE_ID and mount, with the layer and the span of
# what was wrong, and `erofs-oci monitor` as it happens. A reload names what takes a restart.
# kernel: any
# needs: project
# timeout: 300
. /host/tests/guest/lib.sh

declare -A message_id=( # of erofs-ocid(8), for ever
  [served]=ab4c212c4aa964c55486e0065f0a528e
  [closed]=b5b220b1d658a2d0107e17c6539fbf0f
  [source_away]=dd468a23e90f6b13e47a10f89cc9e576
  [source_back]=98ffe14685b44d0366781726f8e21b24
  [read_failed]=304aed7c6f5cf387b7a44f8006ec6afb
  [corrupt]=d9b39e6658cac8034d84ce7fb76e9ac5
  [connection_lost]=3c6ff9a1fbbc4caf99302e66f0cae282
)
# in_journal EVENT: since $since, as JSON
in_journal() { journalctl --sync && journalctl --quiet --output json --since "$since" "MESSAGE_ID=${message_id[$1]}" MOUNT=tools | grep .; }
in_monitor() { grep -qE "^$1 +tools: ." /run/monitor; }
# start_monitor, stop_monitor: erofs-oci monitor in the background
start_monitor() {
  since=@$EPOCHREALTIME
  erofs-oci monitor tools >/run/monitor &
  monitor=$!
  sleep 1
}
stop_monitor() {
  kill "$monitor"
  check wait "$monitor"
}
# told EVENT: once, here and there
told() {
  wait_until 90 in_monitor "$1" # what answers no more is away after half a minute
  wait_until 10 in_journal "$1"
  (($(in_journal "$1" | wc -l) == 1)) || die "$1 is $(in_journal "$1" | wc -l) times in the journal"
  (($(grep -c "^$1 " /run/monitor) == 1)) || die "erofs-oci monitor shows: $(</run/monitor)"
  ok "$(in_journal "$1" | jq --raw-output .MESSAGE | cut -c1-150)"
}
define_tools() { # LINE…: of [io]
  printf '%s\n' "image = \"$registry/team/tools:1.0\"" 'platform = "linux/amd64"' 'mountpoint = "/srv/tools"' '[registry]' \
    'insecure = true' '[cache]' 'enabled = false' '[io]' "$@" >/etc/erofs-oci/tools.toml
}

use_daemon
start_registry
push_layer team/tools 1.0 "$data/layer.tar.gz"
mkdir -p /etc/erofs-oci /srv/tools
define_tools 'on_unavailable = "wait"'
start tools # builds its index
stop tools
start_monitor
start tools
told served

drop_caches
drop_packets
file=$(find /srv/tools -type f -size +64k | head -n 1)
cat "$file" >/dev/null &
reader=$!
told source_away
kill -0 "$reader" || die 'the read did not wait'
pass_packets
told source_back
check wait "$reader"

# A policy takes effect at once, another transport does not.
define_tools 'on_unavailable = "fail"' 'deadline = "2s"'
sed -i '3s|^|transport = "fuse"\n|' /etc/erofs-oci/tools.toml
check_fails systemctl reload "$(unit tools)"
[[ $(state_of tools) == active ]] || die "the mount is $(state_of tools) after the reload"
status=$(systemctl status --no-pager --full "$(unit tools)" || true)
[[ $status == *'transport changed as well, which takes a restart'* ]] || die "systemctl status says: $status"
[[ $(transport_of tools) == nbd ]] || die "it is mounted over $(transport_of tools) after a reload"
ok 'the reload names the transport'

# A daemon that dies while a reply goes straight to the socket, as the table of requests tells (src/handover/README.md: phase 3), leaves
# a connection that nobody can go on with. That is found out before anybody can monitor.
stop_monitor
since=@$EPOCHREALTIME
table=$(find "/proc/$(daemon_pid)/fd" -lname '/memfd:erofs-oci-requests*' | head -n 1)
[[ -n $table ]] || die 'the daemon has no table of requests'
printf '\3\0\0\0' | dd of="$table" bs=1 seek=12 conv=notrunc status=none
kill -KILL "$(daemon_pid)"
wait_until 20 in_journal connection_lost
(($(in_journal connection_lost | wc -l) == 1)) || die "connection_lost is $(in_journal connection_lost | wc -l) times in the journal"
ok "$(in_journal connection_lost | jq --raw-output .MESSAGE | cut -c1-150)"
served_again() { in_journal served; }
wait_until 60 served_again
drop_caches
check timeout 60 cat "$file" >/dev/null
start_monitor

# fail_to_read: the next daemon has no data in memory
fail_to_read() {
  stop_monitor
  check systemctl restart erofs-ocid
  wait_until 20 is_listed tools
  start_monitor
  drop_caches
  check_fails timeout 60 cat "$file" >/dev/null
}
drop_packets
fail_to_read
pass_packets
told read_failed

layer=$(digest_of "$data/layer.tar.gz")
blob=/var/lib/test-registry/docker/registry/v2/blobs/sha256/${layer:7:2}/${layer#sha256:}/data
head -c 200000 /dev/urandom | dd of="$blob" bs=1000 seek=20 conv=notrunc status=none
fail_to_read
told corrupt
[[ $(in_journal corrupt | jq --raw-output .LAYER) == "$layer" ]] || die "told: $(in_journal corrupt)"
[[ $(in_journal corrupt | jq --raw-output .SPAN) =~ ^[0-9]+$ ]] || die "told: $(in_journal corrupt)"
ok 'with layer and span'
stop tools
told closed
stop_monitor
leftovers
