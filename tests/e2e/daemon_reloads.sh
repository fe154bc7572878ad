#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SIGHUP, which `systemctl reload` sends, has the daemon read its settings again and serve on.
. "$(dirname "$0")/lib.sh"

cat >"$T/notified.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(4096).decode().replace("\n", " "), flush=True)
PY
python3 "$T/notified.py" "$T/notify" >"$T/notified" &
pids+=($!)
wait_until 10 test -S "$T/notify"
echo 'log_level = "notice"' >"$T/settings"
NOTIFY_SOCKET=$T/notify "$BIN/erofs-ocid" --settings "$T/settings" --state-dir "$T/state" --listen "$T/control" \
  2>"$T/daemon.err" &
daemon=$!
pids+=("$daemon")
wait_until 10 grep -q READY=1 "$T/notified"
kill -HUP "$daemon"
wait_until 10 grep -q 'RELOADING=1 MONOTONIC_USEC=[0-9]' "$T/notified"
wait_until 10 bash -c "[[ \$(grep -c READY=1 '$T/notified') == 2 ]]"
grep -q 'read the settings again' "$T/daemon.err" || die 'it does not say that it did'
ok 'reloads'
echo 'log_level = "loud"' >"$T/settings"
kill -HUP "$daemon"
wait_until 10 grep -q 'going on with the old ones' "$T/daemon.err"
wait_until 10 bash -c "[[ \$(grep -c READY=1 '$T/notified') == 3 ]]"
kill -0 "$daemon" || die 'it ended'
ok 'goes on where the settings are wrong'
code=0
kill -TERM "$daemon"
wait "$daemon" || code=$?
((code == 0)) || die "exit code $code after SIGTERM"
check_sanitizers
