#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Whatever goes wrong ends a program with a sentence and exit code 1, be it an error that nobody thought of.
if [[ -z ${ISOLATED-} ]] && unshare --mount true 2>/dev/null; then ISOLATED=1 exec unshare --mount "$0"; fi
. "$(dirname "$0")/lib.sh"
((EUID == 0)) || skip 'mounting needs root'
[[ -n ${ISOLATED-} ]] || skip 'needs a mount namespace of its own' # so that /run is ours
mount -t tmpfs -o mode=755 none /run
export HOME=$T

# told PATTERN COMMAND…: ends with 1, and its last line matches
told() {
  local pattern=$1 code=0
  shift
  timeout 60 "$@" >"$T/told.out" 2>"$T/told.err" || code=$?
  ((code == 1)) || die "$*: exit code $code: $(<"$T/told.err")"
  tail -n 1 "$T/told.err" | grep -qE "$pattern" || die "$*: it does not say /$pattern/: $(<"$T/told.err")"
  check_sanitizers
  ok "$(tail -n 1 "$T/told.err")"
}

mkdir /run/erofs-oci
touch /run/erofs-oci/mounts
told '^erofs-oci: tools: /run/erofs-oci/mounts: Not a directory$' "$BIN/erofs-oci" umount tools
define "file:$data/layer.erofs" 'transport = "fuse"'
told '/run/erofs-oci/mounts: Not a directory$' "$BIN/erofs-oci" run "$T/$name.toml"
# One that the standard library throws.
told '^erofs-ocid: filesystem error: ' env -u RUNTIME_DIRECTORY TMPDIR=/nonexistent \
  "$BIN/erofs-ocid" --listen "$T/control" --settings /none --state-dir "$T/state" --cache-dir "$T/spans"
