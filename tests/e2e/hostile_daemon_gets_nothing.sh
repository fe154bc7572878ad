#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whatever a daemon answers, the client refuses in words, ends in time, mounts nothing elsewhere, leaves nothing, and leaves devices of
# others alone; and a mount point that is a symlink, or turns into one, is refused. Over fuse, or $TRANSPORT.
. "$(dirname "$0")/lib.sh"

transport=${TRANSPORT:-fuse}
[[ $transport != fuse ]] || needs_fuse
# Everything happens in a mount namespace of its own, where the service's folders are this script's.
if [[ -z ${EROFS_OCI_UNSHARED-} ]]; then
  made=
  [[ -d /etc/erofs-oci ]] || { mkdir /etc/erofs-oci; made=1; }
  mkdir -p /run/erofs-oci
  code=0
  EROFS_OCI_UNSHARED=1 unshare --mount --propagation private "$0" || code=$?
  [[ -z $made ]] || rmdir /etc/erofs-oci
  exit "$code"
fi
mount -t tmpfs tmpfs /run/erofs-oci
mount -t tmpfs tmpfs /etc/erofs-oci
mkdir "$T/mnt"
image=$T/image.erofs
mkdir "$T/tree"
seq 100000 >"$T/tree/numbers"
mkfs.erofs --quiet "$image" "$T/tree"
printf '%s\n' "image = \"file:$image\"" "mountpoint = \"$T/mnt\"" "transport = \"$transport\"" 'start_timeout = "2s"' \
  >"/etc/erofs-oci/$name.toml"

# start_hostile MODE [ARGUMENT…], stop_hostile
start_hostile() {
  rm -f /run/erofs-oci/control "$T/hostile.out"
  python3 "$here/hostile_daemon.py" /run/erofs-oci/control "$@" >"$T/hostile.out" 2>"$T/hostile.err" &
  hostile=$!
  pids+=("$hostile")
  wait_until 10 grep -q listening "$T/hostile.out"
}
stop_hostile() {
  kill -KILL "$hostile"
  wait "$hostile" 2>/dev/null || true
}

# --- An honest one, to see that what follows could mount: directly, and by what swaps the mount point below
mount_well() { # WHO
  timeout 60 "$BIN/erofs-oci" mount "$name" >"$T/said" 2>&1 || die "$1: $(<"$T/said")"
  cmp "$T/mnt/numbers" "$T/tree/numbers" || die "$1: what is mounted is wrong"
  timeout 60 "$BIN/erofs-oci" umount "$name" >"$T/said" 2>&1 || die "$1: umount: $(<"$T/said")"
  ok "$1: mounts and unmounts"
}
"$BIN/erofs-ocid" --listen /run/erofs-oci/control --settings /nonexistent --state-dir "$T/state" --cache-dir "$T/cache" \
  2>"$T/daemon.err" &
daemon=$!
pids+=("$daemon")
wait_until 20 test -S /run/erofs-oci/control
mount_well 'an honest daemon'
mv /run/erofs-oci/control /run/erofs-oci/real
start_hostile relay /run/erofs-oci/real
mount_well 'an honest daemon, relayed'
stop_hostile

# Who has which nbd device: none on most machines, somebody in the guest.
devices() { grep -H . /sys/block/nbd*/{pid,backend} 2>/dev/null || true; }
devices_before=$(devices)
mounts_before=$(cut -d' ' -f4- /proc/self/mountinfo)
# What no refusal may leave, or show a terminal.
nothing_happened() { # WHAT
  [[ $(cut -d' ' -f4- /proc/self/mountinfo) == "$mounts_before" ]] || die "$1: the mounts have changed"
  [[ $(devices) == "$devices_before" ]] || die "$1: the devices have changed: $(devices)"
  ! compgen -G '/run/erofs-oci/mounts/*' >/dev/null || die "$1: left a state file"
  # C0 but for tab and newline, DEL, and C1 (U+0080 to U+009F).
  ! LC_ALL=C grep -qP '[\x01-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$T/said" || die "$1: control characters reach the terminal"
  [[ -s $T/said ]] || die "$1: was refused without a word"
}

# Why each of them is refused; as grep has it.
escaped='\\x1b]0;owned\\x07\\x1b\[2J\\xc2\\x9b31m'
no_reply='did not answer the kernel within start_timeout (2 s)'
hung_up=$no_reply
[[ $transport != fuse ]] || hung_up='Transport endpoint is not connected'
declare -A reason=(
  [no-size]="'size_bytes' must be whole blocks"
  [odd-size]="'size_bytes' must be whole blocks"
  [huge-size]="'size_bytes' must be a whole number from 0 to"
  [negative-size]="'size_bytes' must be a whole number from 0 to"
  [odd-block]="'block_size' must be 512 or 4096"
  [bad-digest]="'image_digest' must be sha256: and 64 hex digits"
  [bad-generation]="'generation' must be 32 lower-case hex digits"
  [extra-member]="'mountpoint' is not known"
  [extra-descriptors]="'size_bytes' must be whole blocks"
  [truncated]='brought half a message'
  [closed]='the daemon closed the control connection'
  [not-json]="a message that is not JSON: \\\\xff\\\\xfe{$escaped"
  [not-an-object]='a message that is not a JSON object'
  [deep]='nested too deeply'
  [endless-message]='a message that is too large'
  [files-of-others]='asks for "../../../etc/shadow", which is no file of an image layout'
  [files-of-no-layout]='asks for files of an image layout, and there is none'
  [escapes]="$escaped"
  [unknown-error]="the unknown error 'x.y.$escaped'"
  [hangs-up]="$hung_up"
  [serves-garbage]="$no_reply"
  [refuses-to-serve]="$escaped"
  [never-serves]="$no_reply"
)
# refused MODE: the mount fails within 20 s, by itself
refused() {
  local code=0
  start_hostile "$1"
  timeout --signal=KILL 20 "$BIN/erofs-oci" mount "$name" >"$T/said" 2>&1 || code=$?
  stop_hostile
  ((code == 1)) || die "$1: ended with $code: $(tail -n 2 "$T/said" | tr -cd '[:print:]')"
  nothing_happened "$1"
  grep -q -e "${reason[$1]:-no reason is known}" "$T/said" || die "$1: said: $(tail -n 1 "$T/said" | tr -cd '[:print:]')"
}
for mode in $(python3 "$here/hostile_daemon.py" . list); do
  case $mode in endless-progress) continue ;; esac
  refused "$mode"
  ok "$mode: $(tail -n 1 "$T/said" | cut -c1-150)"
done

# It may take as long as it likes for an index, but a signal ends the waiting.
start_hostile endless-progress
"$BIN/erofs-oci" mount "$name" >"$T/said" 2>&1 &
client=$!
sleep 1
kill -TERM "$client"
code=0
timeout 20 tail --pid="$client" -f /dev/null || die 'endless-progress: does not end by SIGTERM'
wait "$client" || code=$?
((code == 1)) || die "endless-progress: ended with $code"
nothing_happened endless-progress
ok 'endless-progress: ends by a signal'

# Its lies are shown without what they would do to a terminal; and it is not asked what to unmount.
"$BIN/erofs-oci" status >"$T/said" 2>&1 || die 'status failed'
nothing_happened status
"$BIN/erofs-oci" status --json >"$T/said" 2>&1 || die 'status --json failed'
nothing_happened 'status --json'
timeout 20 "$BIN/erofs-oci" umount other >"$T/said" 2>&1 || die 'umount of nothing failed'
nothing_happened umount
ok 'what it says of mounts changes none'
stop_hostile

# --- The mount point
start_hostile never-serves
mkdir "$T/real"
rmdir "$T/mnt"
ln -s "$T/real" "$T/mnt"
code=0
"$BIN/erofs-oci" mount "$name" >"$T/said" 2>&1 || code=$?
((code == 1)) || die "a symlink as mount point: $code"
grep -q 'is a symbolic link' "$T/said" || die "a symlink as mount point: $(<"$T/said")"
nothing_happened symlink
ok 'a symlink is refused'

# Swapped after it was checked, when the daemon serves: what was checked is not what is there.
rm "$T/mnt"
mkdir "$T/mnt"
stop_hostile
start_hostile relay /run/erofs-oci/real "$T/mnt" "$T/real"
code=0
timeout 60 "$BIN/erofs-oci" mount "$name" >"$T/said" 2>&1 || code=$?
[[ -L $T/mnt && -d $T/mnt.was ]] || die 'the mount point was not swapped'
((code == 1)) || die "a swapped mount point: $code"
grep -q 'is a symbolic link' "$T/said" || die "a swapped mount point: $(<"$T/said")"
nothing_happened 'a swapped mount point'
ok 'a mount point that was swapped gets nothing'
stop_hostile
check_sanitizers
