#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `reattach` of all passes over the mount of a `run` that was killed with its daemon: no other daemon is to serve it, and whoever
# starts reattach again where it says that it may succeed later would do so for ever.
if [[ -z ${ISOLATED-} ]] && unshare --mount true 2>/dev/null; then ISOLATED=1 exec unshare --mount "$0"; fi
. "$(dirname "$0")/lib.sh"
needs_fuse
make_etc_and_run_ours
export HOME=$T

define "file:$data/layer.erofs" 'transport = "fuse"'
start_run
daemon=$(daemon_of "$run_pid")
kill -KILL "$run_pid" "$daemon"
wait "$run_pid" || true
[[ -e /run/erofs-oci/mounts/$name.json ]] || die 'there is no state to pass over'
code=0
timeout 60 "$BIN/erofs-oci" reattach 2>"$T/reattach.err" || code=$?
((code == 0)) || die "reattach: exit code $code: $(<"$T/reattach.err")"
[[ -e /run/erofs-oci/mounts/$name.json ]] || die 'it removed the state'
ok 'a dead run is passed over'
code=0
timeout 60 "$BIN/erofs-oci" reattach "$name" 2>"$T/reattach.err" || code=$?
((code != 0)) || die 'a mount that is named is tried, and told why not'
timeout 60 "$BIN/erofs-oci" umount "$name" 2>"$T/umount.err" || die "umount: $(<"$T/umount.err")"
check_sanitizers
nothing_left
