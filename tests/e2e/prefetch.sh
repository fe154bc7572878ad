#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prefetch by a service: all of an image, also over an outage of the registry; by command; and what an earlier start read. And
# what plot draws of it.
if [[ -z ${ISOLATED-} ]] && unshare --mount true 2>/dev/null; then ISOLATED=1 exec unshare --mount "$0"; fi
. "$(dirname "$0")/lib.sh"
needs_fuse
make_etc_and_run_ours
mkdir -p /etc/erofs-oci "$T/user" "$T/tree"
chmod 777 "$T/user"
install -d -o 65534 -g 65534 /run/erofs-oci

for i in 1 2 3 4 5 6 7 8; do head -c 3000000 /dev/urandom >"$T/tree/file$i"; done
tar -C "$T/tree" --owner=0 --group=0 --sort=name -czf "$T/layer.tar.gz" .
(cd "$T/tree" && sha256sum -- *) >"$T/sums"
start_registry
push team/tools "$oci_gzip" "$T/layer.tar.gz" >/dev/null

oci() { "$BIN/erofs-oci" "$@"; }
# define_mount [PREFETCH-LINE…]
define_mount() {
  define "$registry/team/tools:1.0" 'platform = "linux/amd64"' 'transport = "fuse"' '[registry]' 'insecure = true' '[io]' 'deadline = "1s"' \
    '[prefetch]' "$@"
  cp "$T/$name.toml" "/etc/erofs-oci/$name.toml"
}
start_service() {
  rm -f /run/erofs-oci/control
  setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/erofs-ocid" --listen /run/erofs-oci/control \
    --settings /nonexistent --state-dir "$T/user/state" --cache-dir "$T/user/spans" 2>>"$T/daemon.err" &
  daemon=$!
  pids+=("$daemon")
  wait_until 10 test -S /run/erofs-oci/control
}
mount_it() { oci mount "$name" >"$T/mount.out" 2>"$T/mount.err"; }
umount_it() { oci umount "$name" 2>"$T/umount.err"; }
forget_data() { oci cache rm --all >/dev/null; }
cached() { oci status --json | jq -r ".mounts[0].cache.$1"; }
is_complete() { [[ $(cached state) == complete ]]; }
said() { grep -qF "$name: $1" "$T/daemon.err"; }
same() { (cd "$T/mnt" && sha256sum --quiet --check "$T/sums") || die 'content differs'; }
blob_requests() { grep -c 'GET /v2/.*/blobs/sha256' "$T/registry.log" || true; }

start_service
define_mount 'mode = "none"'
mount_it # builds the index
umount_it
forget_data
define_mount 'mode = "all"' 'rate = "6MiB"'
mount_it
stop_registry
wait_until 20 said 'prefetch: '
grep -F "$name: prefetch: " "$T/daemon.err" | grep -q 'trying again later$' || die "$(grep prefetch "$T/daemon.err")"
start_registry
wait_until 30 is_complete
wait_until 10 said 'prefetch: complete'
stop_registry
same
umount_it
(($(grep -c 'prefetch: complete' "$T/daemon.err") == 1)) || die 'it said more than once that it is complete'
ok 'mode = "all": complete without a read, over an outage'

start_registry
forget_data
define_mount 'mode = "none"'
mount_it
code=0
timeout --preserve-status --signal=INT 2 "$BIN/erofs-oci" prefetch "$name" --rate 4MiB >"$T/prefetch.out" 2>"$T/prefetch.err" || code=$?
((code == 1)) || die "interrupted, it exited with $code: $(<"$T/prefetch.err")"
[[ $(cached state) == partial ]] || die "cache: $(oci status --json)"
kept=$(cached kept_bytes)
requests=$(blob_requests)
sleep 1
(($(blob_requests) - requests <= 2)) || die 'it goes on though its caller has left'
oci prefetch "$name" >"$T/prefetch.out" 2>"$T/prefetch.err"
is_complete || die "cache: $(oci status --json)"
grep -qx "$name: all of its data is on disk, .*" "$T/prefetch.out" || die "$(<"$T/prefetch.out")"
((kept > 0 && kept < $(cached total_bytes)))
same
code=0
oci prefetch "$name" --rate fast >"$T/prefetch.out" 2>&1 || code=$?
((code == 2)) || die "--rate fast: $code"
oci plot "$name" >"$T/plot.svg"
python3 - "$T/plot.svg" <<'PY'
import sys, xml.dom.minidom
text = xml.dom.minidom.parse(sys.argv[1]).documentElement.toxml()
for word in 'prefetched', 'on disk', 'layer sha256:':
    assert word in text, word
PY
umount_it
for command in prefetch plot; do
  code=0
  oci "$command" "$name" >"$T/not.out" 2>&1 || code=$?
  ((code == 1)) && grep -q "$name: is not mounted" "$T/not.out" || die "$command of what is not mounted: $code, $(<"$T/not.out")"
done
ok 'erofs-oci prefetch fetches all, and ends with its caller; plot draws it'

forget_data
define_mount 'mode = "trace"'
mount_it
cat "$T/mnt/file7" "$T/mnt/file2" >/dev/null
umount_it
[[ $(echo "$T"/user/state/traces/sha256-*.trace) == *.trace ]] || die 'no trace was noted'
forget_data
mount_it
wait_until 20 said 'prefetch: what earlier starts read is on disk'
cat "$T/mnt/file7" "$T/mnt/file2" | cmp - <(cat "$T/tree/file7" "$T/tree/file2")
oci plot "$name" >"$T/plot.svg" # readers were ahead of nothing, though some of what lies behind was read ahead
python3 - "$T/plot.svg" <<'PY'
import re, sys
svg = open(sys.argv[1]).read()
counts = [int(re.search(words + r'[^<]*</text>\s*<text[^>]*>(\d+)<', svg)[1]) for words in ('prefetched', 'read, was fetched', 'read, was')]
assert counts[0] >= 6 and counts[1] == 0 and counts[2] > 0, counts
PY
! is_complete || die 'all was fetched'
umount_it
echo damaged >"$(echo "$T"/user/state/traces/*)"
mount_it
wait_until 10 grep -q 'trace: is no trace; removing it' "$T/daemon.err"
same
umount_it
rm "/etc/erofs-oci/$name.toml"
oci cache gc | grep -q '\.trace$' || die 'cache gc left the trace'
ok 'mode = "trace": what a start read is there at the next'

kill "$daemon"
wait "$daemon"
check_sanitizers
