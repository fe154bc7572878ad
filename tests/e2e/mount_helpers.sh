#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The helpers that mount(8) and umount(8) call: a fake mount mounts nothing, fstab's words override the definition's, and what
# somebody else mounted is not unmounted.
if [[ -z ${ISOLATED-} ]] && unshare --mount true 2>/dev/null; then ISOLATED=1 exec unshare --mount "$0"; fi
. "$(dirname "$0")/lib.sh"
needs_fuse
make_etc_and_run_ours
mkdir -p /etc/erofs-oci /run/erofs-oci "$T/other"
export HOME=$T
ln -s "$BIN/erofs-oci" "$T/mount.erofs-oci"
ln -s "$BIN/erofs-oci" "$T/umount.erofs-oci"
define "file:$data/layer.erofs" 'transport = "fuse"' 'options = ["noexec"]'
cp "$T/$name.toml" "/etc/erofs-oci/tools.toml"
"$BIN/erofs-ocid" --listen /run/erofs-oci/control --settings /nonexistent --state-dir "$T/state" --cache-dir "$T/spans" \
  2>"$T/daemon.err" &
pids+=("$!")
wait_until 10 test -S /run/erofs-oci/control

# refused PATTERN COMMAND…
refused() {
  local pattern=$1 code=0
  shift
  timeout 60 "$@" >"$T/refused.out" 2>"$T/refused.err" || code=$?
  ((code == 1)) || die "$*: exit code $code: $(<"$T/refused.err")"
  grep -qE "$pattern" "$T/refused.err" || die "$*: it does not say /$pattern/: $(<"$T/refused.err")"
  ok "$(tail -n 1 "$T/refused.err")"
}

"$T/mount.erofs-oci" tools "$T/mnt" -f -o rw,noatime 2>"$T/fake.err"
! mountpoint -q "$T/mnt" || die 'a fake mount has mounted'
refused 'on .*/mnt, not on' "$T/mount.erofs-oci" tools "$T/other" -f
refused 'unknown option' "$T/mount.erofs-oci" tools "$T/mnt" -f -o noexce
ok 'a fake mount checks, and mounts nothing'

"$T/mount.erofs-oci" tools "$T/mnt" -o rw,_netdev,_rnetdev,async,silent,user=joe,dev,suid,exec 2>"$T/mount.err" ||
  die "$(<"$T/mount.err")"
options=$(findmnt -no OPTIONS --mountpoint "$T/mnt")
[[ ! $options =~ nodev|nosuid|noexec ]] || die "mounted with $options"
ok "fstab's words: $options"

mount -t tmpfs foreign "$T/other"
refused 'type tmpfs, is not of erofs-oci; umount -i' "$T/umount.erofs-oci" "$T/other"
mountpoint -q "$T/other" || die "unmounted somebody else's filesystem"
umount "$T/other"
"$T/umount.erofs-oci" "$T/mnt" 2>"$T/umount.err" || die "$(<"$T/umount.err")"
! mountpoint -q "$T/mnt" || die 'it is mounted still'
refused 'nothing is mounted there' "$T/umount.erofs-oci" "$T/mnt"
check_sanitizers
