#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SIGTERM after any step of making a mount: exit 0, and what was made is undone.
. "$(dirname "$0")/lib.sh"
needs_fuse
export HOME=$T

start_registry
push team/tools "$oci_gzip" "$data/layer.tar.gz" >/dev/null
define_golden 'transport = "fuse"'
mapfile -t steps < <(sed -nE 's/^ *passed\("([a-z-]+)"\);/\1/p' "$top/src/cli/mounter.cpp")
((${#steps[@]} >= 8)) || die "the mounter has ${#steps[@]} steps"
for step in "${steps[@]}"; do
  code=0
  EROFS_OCI_TERMINATE_AFTER=$step timeout 60 "$BIN/erofs-oci" run "$T/$name.toml" >"$T/run.out" 2>"$T/run.err" || code=$?
  ((code == 0)) || die "$step: exit code $code: $(<"$T/run.err")"
  [[ ! -s $T/run.out ]] || die "$step: it said $(<"$T/run.out")"
  ! grep 'ignoring' "$T/run.err" || die "$step: something was not undone"
  check_sanitizers
  nothing_left
  ok "after $step"
done
