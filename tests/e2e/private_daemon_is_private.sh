#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The daemon of root's `run` runs as somebody else, whose other processes can neither call it, nor read its memory and
# environment. What a killed run left is removed by the next.
if [[ -z ${ISOLATED-} ]] && unshare --mount true 2>/dev/null; then ISOLATED=1 exec unshare --mount "$0"; fi
. "$(dirname "$0")/lib.sh"
needs_fuse
[[ -n ${ISOLATED-} ]] || skip 'needs a mount namespace of its own' # so that /run has no folders of others
mount -t tmpfs -o mode=755 none /run
export HOME=$T

define "file:$data/layer.erofs" 'transport = "fuse"'
export SECRET_OF_ROOT=hunter2
start_run
daemon=$(daemon_of "$run_pid")
folder=$(echo /run/erofs-oci-run.*)
uid=$(ps -o uid= -p "$daemon" | tr -d ' ')
((uid != 0)) || die 'the daemon is root'
other() { setpriv --reuid="$uid" --regid="$uid" --clear-groups --inh-caps=-all "$@"; }
[[ $(stat -c '%u %a' "$folder") == '0 700' ]] || die "$folder: $(stat -c '%u %a' "$folder")"
[[ $(stat -c %u "$folder/control") == 0 ]] || die 'the socket is not root'\''s'
other /usr/bin/python3 - "$folder/control" "$daemon" <<'PY' || die 'another process of its user can reach it'
import socket, sys
def is_refused(attempt):
    try:
        attempt()
    except PermissionError:
        return True
    return False
path, pid = sys.argv[1:]
attempts = [lambda: socket.socket(socket.AF_UNIX).connect(path)]
attempts += [lambda f=f: open(f"/proc/{pid}/{f}", "rb").read(1) for f in ("environ", "mem", "maps", "cwd/files")]
sys.exit(not all([is_refused(a) for a in attempts]))
PY
! tr '\0' '\n' <"/proc/$daemon/environ" | grep -E '^(SECRET_OF_ROOT|HOME)=' || die "it has root's environment"
ok 'the daemon is out of reach of its user'
ls "$T/mnt" >/dev/null

kill -KILL "$run_pid"
wait "$run_pid" || true
timeout 20 tail --pid="$daemon" -f /dev/null
[[ -d $folder ]] || die 'the killed run removed its folder'
touch -d '1 minute ago' "$folder"
start_run
[[ ! -e $folder ]] || die "left: $folder"
stop_run
! compgen -G '/run/erofs-oci-run.*' || die 'left behind: a folder'
ok 'what a killed run left is removed'

code=0
"$BIN/erofs-oci" umount nosuch >"$T/umount.out" 2>"$T/umount.err" || code=$?
((code == 0)) || die "umount of what is not mounted: exit code $code: $(<"$T/umount.err")"
ok 'umount of what is not mounted is no failure, without a daemon too'

mkdir -p /run/erofs-oci
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("/run/erofs-oci/control")'
chmod 660 /run/erofs-oci/control
code=0
other "$BIN/erofs-oci" status >"$T/status.out" 2>"$T/status.err" || code=$?
((code == 1)) && grep -q 'must be in group erofs-oci' "$T/status.err" || die "status, exit code $code: $(<"$T/status.err")"
ok 'status says who may ask'

# The service's socket is passed to it: its own user may ask, and change nothing.
python3 - "$BIN/erofs-ocid" "$T/passed" >"$T/service.out" 2>"$T/service.err" <<'PY' || die "$(<"$T/service.err")"
import json, os, socket, sys
program, folder = sys.argv[1:]
os.mkdir(folder)
os.chown(folder, 65534, 65534)
listener = socket.socket(socket.AF_UNIX)
listener.bind(folder + "/control")
os.chmod(folder + "/control", 0o666)
listener.listen()

def become_service():
    os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="control", LISTEN_PID=str(os.getpid()))
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    os.execv(program, [program, "--settings", "/none", "--state-dir", folder + "/state", "--cache-dir", folder + "/spans"])

def call(method, parameters):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(folder + "/control")
        peer.sendall(json.dumps({"method": "io.github.erofs-oci." + method, "parameters": parameters}).encode() + b"\0")
        return json.loads(peer.recv(65536).rstrip(b"\0"))

child = os.fork()
if child == 0:
    become_service()
try:
    assert "error" not in call("Close", {"name": "nosuch"}), "root may not close"
    os.seteuid(65534)
    assert "error" not in call("Status", {}), "its user may not ask"
    answer = call("Close", {"name": "nosuch"})
    assert answer.get("error") == "org.varlink.service.PermissionDenied", answer
finally:
    os.seteuid(0)
    os.kill(child, 15)
    os.waitpid(child, 0)
PY
check_sanitizers
ok 'the user of the service may change nothing'
