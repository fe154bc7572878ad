#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What somebody else mounted in place of ours, with the id that ours had, is not unmounted.
if [[ -z ${ISOLATED-} ]] && unshare --mount true 2>/dev/null; then ISOLATED=1 exec unshare --mount "$0"; fi
. "$(dirname "$0")/lib.sh"
needs_fuse
[[ -n ${ISOLATED-} ]] || skip 'needs a mount namespace of its own' # so that nobody else takes the id
export HOME=$T

define "file:$data/layer.erofs" 'transport = "fuse"'
start_run
id=$(findmnt -no ID "$T/mnt")
umount "$T/mnt"
for ((i = 0; i < 50; ++i)); do # the lowest id that is free; ours is so a moment after the mount is gone
  mkdir "$T/foreign$i"
  mount -t tmpfs foreign "$T/foreign$i"
  [[ $(findmnt -no ID "$T/foreign$i") != "$id" ]] || { mount --move "$T/foreign$i" "$T/mnt"; break; }
  sleep 0.02
done
mountpoint -q "$T/mnt" || skip 'the kernel gave the id to nobody'
code=0
kill -TERM "$run_pid"
wait "$run_pid" || code=$?
[[ $(findmnt -no SOURCE "$T/mnt") == foreign ]] || die "run unmounted somebody else's filesystem"
((code == 0)) || die "run ended with $code: $(<"$T/run.err")"
umount "$T/mnt"
for ((; i-- > 0;)); do umount "$T/foreign$i"; done
check_sanitizers
nothing_left
ok 'a foreign mount stays'
