#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# While no daemon is there, umount spares the device of a mount that a bind mount, another mount namespace or an open file has still:
# the next daemon serves it on. What nobody else uses is stopped in seconds.
# needs: project
# timeout: 300
. /host/tests/guest/lib.sh

stop_daemon() { check systemctl stop erofs-ocid.socket erofs-ocid.service; }
start_daemon() { check systemctl start erofs-ocid.socket erofs-ocid.service; }
# refused_in_time WHO
refused_in_time() {
  local begin=$SECONDS
  check_fails timeout 60 erofs-oci umount tools 2>/run/said
  ((SECONDS - begin <= 10)) || die "$1: the umount took $((SECONDS - begin)) s"
  grep -q 'still in use' /run/said || die "$1: umount says: $(</run/said)"
}
# served_on WHO FOLDER
served_on() {
  start_daemon
  drop_caches
  (cd "$2" && timeout 60 sha256sum --quiet --check "$data/layer.sha256") || die "$1 cannot read any more"
  ok "$1 reads on"
}

use_daemon
define tools 'transport = "nbd"'
mkdir -p /srv/bound

start tools
check mount --bind /srv/tools /srv/bound
stop_daemon
refused_in_time 'a bind mount'
served_on 'a bind mount' /srv/bound

exec 9</srv/bound
check umount --lazy /srv/bound
stop_daemon
refused_in_time 'an open folder'
served_on 'an open folder' /proc/$$/fd/9
exec 9<&-
check erofs-oci umount tools
leftovers

check systemctl reset-failed
check systemctl stop "$(unit tools)"
start tools
unshare --mount --propagation private sleep infinity &
other=$!
has_namespace() { [[ $(readlink "/proc/$other/ns/mnt") != $(readlink /proc/self/ns/mnt) ]]; }
wait_until 10 has_namespace
stop_daemon
refused_in_time 'another mount namespace'
served_on 'another mount namespace' "/proc/$other/root/srv/tools"
stop_daemon
kill "$other"
wait "$other" || true
begin=$SECONDS
check timeout 60 erofs-oci umount tools
((SECONDS - begin <= 10)) || die "the umount took $((SECONDS - begin)) s"
ok 'it goes when its last user has gone'
leftovers

check systemctl stop "$(unit tools)"
start_daemon
start tools
stop_daemon
begin=$SECONDS
check timeout 60 systemctl stop "$(unit tools)"
((SECONDS - begin <= 10)) || die "the stop took $((SECONDS - begin)) s"
ok 'and what nobody uses, by a stop'
leftovers

start_daemon
start tools
check mount --bind /srv/tools /srv/bound
stop_daemon
check timeout 60 erofs-oci umount --force tools
umount /srv/bound 2>/dev/null || true # systemd does so, too, once its device is gone
is_unmounted() { ! mountpoint -q /srv/bound; }
wait_until 10 is_unmounted
ok 'or by force'
leftovers

# ends_what_nobody_answers COMMAND…: with a read under way whose reader is gone, and a daemon that stands still
ends_what_nobody_answers() {
  local file daemon reader begin
  start_daemon
  start tools
  file=$(find /srv/tools -type f -size +10k | head -n 1)
  drop_caches
  daemon=$(systemctl show --value -p MainPID erofs-ocid)
  kill -STOP "$daemon"
  cat "$file" >/dev/null &
  reader=$!
  is_blocked() { grep -q '^State:.D' "/proc/$reader/status"; }
  wait_until 10 is_blocked
  kill -KILL "$reader"
  wait "$reader" || true
  begin=$SECONDS
  check timeout 60 "$@" 2>/run/said
  ((SECONDS - begin <= 20)) || die "$*: took $((SECONDS - begin)) s"
  grep -q 'nobody answers the reads' /run/said || die "$* says: $(</run/said)"
  kill -KILL "$daemon"
  ok "$*: a read that nobody answers, and whose reader is gone, keeps nobody"
  start_daemon
  leftovers
}
ends_what_nobody_answers erofs-oci umount tools
ends_what_nobody_answers erofs-oci umount --force tools
