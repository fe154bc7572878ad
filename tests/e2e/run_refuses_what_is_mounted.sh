#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A second `run` of a name that is mounted is refused, and neither it nor its end touches the first's mount.
. "$(dirname "$0")/lib.sh"
needs_fuse
export HOME=$T

define "file:$data/layer.erofs" 'transport = "fuse"'
start_run
mkdir "$T/other" "$T/second"
sed "s|^mountpoint = .*|mountpoint = \"$T/other\"|" "$T/$name.toml" >"$T/second/$name.toml"
code=0
timeout 60 "$BIN/erofs-oci" run "$T/second/$name.toml" >"$T/second.out" 2>"$T/second.err" || code=$?
((code == 1)) || die "the second run ended with $code: $(<"$T/second.err")"
[[ ! -s $T/second.out ]] || die "the second run said $(<"$T/second.out")"
grep -q "$name: is mounted on $T/mnt already, by another erofs-oci run" "$T/second.err" || die "it said $(<"$T/second.err")"
mountpoint -q "$T/mnt" || die "the second run unmounted the first's mount"
ls "$T/mnt" >/dev/null
ok 'a second run is refused'

# A generation that another made is left to it: here the first was unmounted by hand, and a third took the name.
first=$run_pid
umount "$T/mnt"
start_run
code=0
kill -TERM "$first"
wait "$first" || code=$?
((code == 0)) || die "the first run ended with $code"
mountpoint -q "$T/mnt" || die "the first run unmounted the third's mount"
ls "$T/mnt" >/dev/null
ok 'run unmounts what it mounted, and nothing else'
stop_run
