#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A registry that takes connections and answers none: reads wait, or fail at their deadline, as the definition says; status, what
# is in memory, a mount of another registry and the end of the mount do not wait for it.
. "$(dirname "$0")/lib.sh"

needs_fuse

mkdir "$T/tree"
for i in {1..6}; do head -c 3000000 /dev/urandom >"$T/tree/file$i"; done
(cd "$T/tree" && sha256sum file*) >"$T/sums"
tar -C "$T/tree" --owner=0 --group=0 -czf "$T/layer.tar.gz" .

# A mount that has read nothing of the layer yet, and then nobody to read from.
# mount_and_vanish POLICY…: lines of [io]
mount_and_vanish() {
  registry=
  start_registry
  push team/tools "$oci_gzip" "$T/layer.tar.gz" >/dev/null
  define "$registry/team/tools:1.0" 'platform = "linux/amd64"' '[registry]' 'insecure = true' '[io]' "$@"
  start_run
  stop_registry
  python3 - "${registry##*:}" <<'PY' &
import socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=200)
taken = []
while True:
    taken.append(listener.accept())
PY
  hole_pid=$!
  pids+=("$hole_pid")
  wait_until 10 hole_listens
}
hole_listens() { python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "${registry##*:}"; }

# --- fail: an I/O error at the deadline
mount_and_vanish 'deadline = "4s"'
start=$SECONDS
if cat "$T/mnt/file1" >"$T/read" 2>"$T/cat.said"; then die 'a read of what nobody has succeeded'; fi
took=$((SECONDS - start))
grep -q 'Input/output error' "$T/cat.said" || die "the read said: $(<"$T/cat.said")"
((took >= 3)) || die "the read failed after $took s, before its deadline"
ok 'a read fails at its deadline'
(cd "$T/mnt" && find . -printf '%p %s\n' >/dev/null) || die 'the tree cannot be listed'
ok 'the tree is there all the same'
grep -q 'the source is away' "$T/run.err" || die 'nobody was told'

# --- The registry comes back: reads go on without being asked to.
kill "$hole_pid"
wait "$hole_pid" || true
start_registry
is_back() { (cd "$T/mnt" && sha256sum --quiet --check "$T/sums"); }
wait_until 60 is_back
grep -q 'the source is back' "$T/run.err" || die 'nobody was told that it is back'
ok 'it is read when the registry is back'
stop_run
stop_registry

# --- wait: reads wait, and the mount ends in time all the same
mount_and_vanish 'on_unavailable = "wait"'
cat "$T/mnt/file1" >"$T/read" 2>"$T/cat.said" &
reader=$!
pids+=("$reader")
sleep 6
kill -0 "$reader" || die 'the read did not wait'
start=$SECONDS
kill -TERM "$run_pid"
wait "$run_pid" || die "run ended with $?"
((SECONDS - start < 10)) || die "unmounting took $((SECONDS - start)) s"
if wait "$reader"; then die 'the read succeeded'; fi
nothing_left
ok "a mount with a blocked read is unmounted"
