#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A mount by a service: status tells how much of it is on disk. Once that is complete, a new daemon mounts and reads it with the
# registry gone.
if [[ -z ${ISOLATED-} ]] && unshare --mount true 2>/dev/null; then ISOLATED=1 exec unshare --mount "$0"; fi
. "$(dirname "$0")/lib.sh"
needs_fuse
make_etc_and_run_ours
mkdir -p /etc/erofs-oci "$T/user"
chmod 777 "$T/user"
install -d -o 65534 -g 65534 /run/erofs-oci

start_registry
push team/tools "$oci_gzip" "$data/layer.tar.gz" >/dev/null
define "$registry/team/tools:1.0" 'platform = "linux/amd64"' 'transport = "fuse"' '[registry]' 'insecure = true' '[cache]' 'pin = true'
cp "$T/$name.toml" "/etc/erofs-oci/$name.toml"

start_service() {
  rm -f /run/erofs-oci/control
  setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/erofs-ocid" --listen /run/erofs-oci/control \
    --settings /nonexistent --state-dir "$T/user/state" --cache-dir "$T/user/spans" 2>>"$T/daemon.err" &
  daemon=$!
  pids+=("$daemon")
  wait_until 10 test -S /run/erofs-oci/control
}
stop_service() {
  "$BIN/erofs-oci" umount "$name" 2>"$T/umount.err"
  kill "$daemon"
  wait "$daemon"
}
sums() { (cd "$T/mnt" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }
cached() { "$BIN/erofs-oci" status --json | jq -r ".mounts[0].cache.$1"; }

# The build of the index would keep all of it.
sed -i "s/pin = true/enabled = false/" "/etc/erofs-oci/$name.toml"
start_service
"$BIN/erofs-oci" mount "$name" >"$T/mount.out" 2>"$T/mount.err"
"$BIN/erofs-oci" umount "$name"
cp "$T/$name.toml" "/etc/erofs-oci/$name.toml"
"$BIN/erofs-oci" mount "$name" >"$T/mount.out" 2>"$T/mount.err"
[[ $(cached state) == metadata ]] || die "cache: $("$BIN/erofs-oci" status --json)"
"$BIN/erofs-oci" status | grep -q ' metadata ' || die "$("$BIN/erofs-oci" status)"
find "$T/mnt" -type f -size +0 -print -quit | xargs cat >/dev/null
[[ $(cached state) == partial && $(cached pinned) == true ]] || die "cache: $("$BIN/erofs-oci" status --json)"
"$BIN/erofs-oci" status "$name" | grep -qE '^ +cached: partial, [0-9]+ % \(.* of .*\), pinned$' || die "$("$BIN/erofs-oci" status "$name")"
(($("$BIN/erofs-oci" status | head -n 1 | wc -L) <= 80)) || die 'status is wide'
sums >"$T/sums"
[[ $(cached state) == complete ]] || die "cache: $("$BIN/erofs-oci" status --json)"
"$BIN/erofs-oci" cache ls | grep -q "pinned  $name$" || die "$("$BIN/erofs-oci" cache ls)"
stop_service
ok 'status tells metadata, partial and complete'

stop_registry
start_service
"$BIN/erofs-oci" mount "$name" >"$T/mount.out" 2>"$T/mount.err"
sums | cmp - "$T/sums"
[[ $(cached state) == complete ]] || die "cache: $("$BIN/erofs-oci" status --json)"
stop_service
ok 'complete: mounted and read with the registry gone'
check_sanitizers
