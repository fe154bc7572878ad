#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SIGTERM and SIGINT end what waits for a registry that takes connections and never answers, at once, and nothing is left
# behind: `run` and `export` exit 0, `mount` and `check --online` 1 with one sentence.
if [[ -z ${ISOLATED-} ]] && unshare --mount true 2>/dev/null; then ISOLATED=1 exec unshare --mount "$0"; fi
. "$(dirname "$0")/lib.sh"
needs_fuse
[[ -n ${ISOLATED-} ]] || skip 'needs a mount namespace of its own' # its daemon lies where the host's would
mkdir -p /etc/erofs-oci
for folder in /run /etc/erofs-oci; do mount -t tmpfs -o mode=755 none "$folder"; done
mkdir /run/erofs-oci
export HOME=$T

registry=127.0.0.1:$(free_port)
: >"$T/accepted"
python3 -c '
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
kept = []
while True:
    kept.append(server.accept())
    print(len(kept), flush=True)' "${registry#*:}" >>"$T/accepted" &
pids+=($!)
accepted() { wc -l <"$T/accepted"; }
wait_until 20 bash -c "exec 3<>/dev/tcp/127.0.0.1/${registry#*:}"
define_golden 'transport = "fuse"' 'start_timeout = "300s"'
# asks_more_than COUNT
asks_more_than() { (($(accepted) > $1)); }
# interrupted SIGNAL CODE COMMAND…: the program waits for the registry; the signal ends it with that exit code
interrupted() {
  local signal=$1 expected=$2 code=0 start pid
  shift 2
  start=$(accepted)
  "$BIN/erofs-oci" "$@" >"$T/$1.out" 2>"$T/$1.err" &
  pid=$!
  pids+=("$pid")
  wait_until 20 asks_more_than "$start"
  start=$SECONDS
  kill -"$signal" "$pid"
  timeout 30 tail --pid="$pid" -f /dev/null || die "$1: goes on after SIG$signal"
  wait "$pid" || code=$?
  ((SECONDS - start <= 6)) || die "$1: took $((SECONDS - start)) s after SIG$signal"
  ((code == expected)) || die "$1: exit code $code after SIG$signal: $(<"$T/$1.err")"
  [[ ! -s $T/$1.out ]] || die "$1: it said $(<"$T/$1.out")"
  check_sanitizers
  run_pid=$pid nothing_left
  ! compgen -G '/run/erofs-oci-run.*' || die "$1: left a folder in /run"
  ok "$1, SIG$signal: exit code $code: $(tail -n 1 "$T/$1.err")"
}

for signal in TERM INT; do
  interrupted "$signal" 0 run "$T/$name.toml"
  interrupted "$signal" 0 export "$T/$name.toml" --socket "$T/nbd"
  [[ ! -e $T/nbd ]] || die 'export left its socket'
done
interrupted INT 1 check "$T/$name.toml" --online
[[ $(grep -c 'interrupted$' "$T/check.err") == 1 ]] || die "check said: $(<"$T/check.err")"

# `mount`, of a daemon as the service would be.
cp "$T/$name.toml" /etc/erofs-oci/
"$BIN/erofs-ocid" --listen /run/erofs-oci/control --state-dir "$T/state" 2>"$T/daemon.err" &
daemon=$!
pids+=("$daemon")
wait_until 20 test -S /run/erofs-oci/control
interrupted TERM 1 mount "$name"
[[ $(grep -c 'interrupted$' "$T/mount.err") == 1 ]] || die "mount said: $(<"$T/mount.err")"
start=$SECONDS
kill "$daemon"
wait "$daemon" || die "the daemon ended with $?"
((SECONDS - start <= 6)) || die "the daemon took $((SECONDS - start)) s to end while it opened a source"
ok 'the daemon ends while it opens a source'
