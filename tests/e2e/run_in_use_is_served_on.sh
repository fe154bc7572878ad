#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SIGTERM to `run` while its mount is in use: it says who uses it and serves on until that ends. A second signal takes the
# mount out of the tree and still serves those who have it open.
. "$(dirname "$0")/lib.sh"
needs_fuse
export HOME=$T
export ASAN_OPTIONS=detect_leaks=0

use() { # opens a file of the mount, reads it when told to, and ends
  rm -f "$T/go" "$T/read"
  python3 -c '
import os, sys, time
file = open(sys.argv[1], "rb")
open(sys.argv[2] + "/opened", "w")
while not os.path.exists(sys.argv[2] + "/go"):
    time.sleep(0.02)
os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
open(sys.argv[2] + "/read", "wb").write(file.read())' "$file" "$T" &
  user=$!
  pids+=("$user")
  wait_until 10 test -e "$T/opened"
  rm "$T/opened"
}
ended_well() {
  local code=0
  wait_until 20 bash -c "! kill -0 $run_pid"
  wait "$run_pid" || code=$?
  ((code == 0)) || die "run ended with $code: $(<"$T/run.err")"
  check_sanitizers
  nothing_left
}

define "file:$data/layer.erofs" 'transport = "fuse"'
start_run
file=$(find "$T/mnt" -type f -print -quit)
[[ -n $file ]] || die 'the image has no file'
use
kill -TERM "$run_pid"
wait_until 10 grep -q "in use by: python3 (pid $user)" "$T/run.err"
kill -0 "$run_pid" || die 'run ended'
timeout 10 ls "$T/mnt" >/dev/null || die 'it is not served any more'
touch "$T/go"
wait "$user"
ended_well
ok 'unmounts when its user is gone'

start_run
use
kill -TERM "$run_pid"
wait_until 10 grep -q "in use by: python3" "$T/run.err"
kill -TERM "$run_pid"
wait_until 10 grep -q ': detached' "$T/run.err"
! mountpoint -q "$T/mnt" || die 'the second signal did not detach it'
kill -0 "$run_pid" || die 'run ended'
touch "$T/go"
wait "$user" || die 'reads failed after the detachment'
ended_well
ok 'detached at the second signal, and served until its user is gone'
