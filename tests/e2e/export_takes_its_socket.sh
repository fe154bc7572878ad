#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# export takes a socket that a killed one left; anything else at the path is refused before the image is opened, and stays.
. "$(dirname "$0")/lib.sh"
export HOME=$T

define "file:$data/layer.erofs"
start_export
kill -KILL "$export_pid"
wait "$export_pid" || true
[[ -S $T/nbd ]] || die 'the socket is gone'
start_export
ok 'a stale socket is taken'
refused() { # PATH WORDS
  local code=0
  timeout 60 "$BIN/erofs-oci" export "$T/$name.toml" --socket "$1" >"$T/refused.out" 2>"$T/refused.err" || code=$?
  ((code == 1)) || die "$1: exit code $code"
  grep -q "$2" "$T/refused.err" || die "$1: $(<"$T/refused.err")"
  ok "$(<"$T/refused.err")"
}
refused "$T/nbd" 'somebody listens there already'
[[ -S $T/nbd ]] || die 'it removed the socket of another'
stop_export
echo precious >"$T/nbd"
refused "$T/nbd" 'no socket'
[[ $(<"$T/nbd") == precious ]] || die 'it removed a file'
