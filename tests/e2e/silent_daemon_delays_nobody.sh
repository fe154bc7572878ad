#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A daemon that takes calls and answers none: what is mounted is unmounted all the same, in seconds, and commands that look say in
# seconds that they do not know.
if [[ -z ${ISOLATED-} ]] && unshare --mount true 2>/dev/null; then ISOLATED=1 exec unshare --mount "$0"; fi
. "$(dirname "$0")/lib.sh"
needs_fuse
make_etc_and_run_ours
mkdir -p /etc/erofs-oci
export HOME=$T

"$BIN/erofs-oci" status --json >"$T/status.out" 2>"$T/status.err" || die "status without a service: $(<"$T/status.err")"
[[ $(jq '.mounts | length' "$T/status.out") == 0 && ! -s $T/status.err ]] || die "status without a service: $(<"$T/status.err")"
ok 'no service and no mounts are no failure'

mkdir -p /run/erofs-oci
"$BIN/erofs-ocid" --listen /run/erofs-oci/control --settings /nonexistent --state-dir "$T/state" --cache-dir "$T/spans" \
  2>"$T/daemon.err" &
daemon=$!
pids+=("$daemon")
wait_until 10 test -S /run/erofs-oci/control
for each in a b c; do
  mkdir "$T/$each"
  printf '%s\n' "image = \"file:$data/layer.erofs\"" "mountpoint = \"$T/$each\"" 'transport = "fuse"' >"/etc/erofs-oci/$each.toml"
  "$BIN/erofs-oci" mount "$each" >"$T/mount.out" 2>"$T/mount.err"
  ls "$T/$each" >/dev/null
done
kill -STOP "$daemon"

# look COMMAND…: its exit code and how long it took
looks=()
look() {
  local at=${#looks[@]} begin=$SECONDS code=0
  timeout --signal=KILL 60 "$BIN/erofs-oci" "$@" >"$T/look.$at.out" 2>"$T/look.$at.err" || code=$?
  echo "$code $((SECONDS - begin))" >"$T/look.$at"
}
for command in 'status --json' 'status b' 'cache ls' 'plot b' 'monitor'; do
  read -ra words <<<"$command"
  look "${words[@]}" &
  looks+=("$command:$!")
done
for at in "${!looks[@]}"; do
  wait "${looks[at]##*:}"
  read -r code seconds <"$T/look.$at"
  ((code == 1 && seconds <= 8)) || die "${looks[at]%:*}: exit code $code after $seconds s: $(<"$T/look.$at.err")"
  grep -q 'answer' "$T/look.$at.err" || die "${looks[at]%:*} says: $(<"$T/look.$at.err")"
  ok "${looks[at]%:*} gives up after $seconds s"
done
[[ $(jq '.mounts | length' "$T/look.0.out") == 3 ]] || die "status: $(<"$T/look.0.out")"
grep -q 'the service does not answer' "$T/look.0.err" || die "status says: $(<"$T/look.0.err")"

# One more daemon, whose cache is to lie on what the silent one serves, does not touch that.
"$BIN/erofs-ocid" --listen "$T/second" --settings /nonexistent --state-dir "$T/state2" --cache-dir "$T/b/cache" 2>"$T/second.err" &
second=$!
pids+=("$second")
wait_until 10 test -S "$T/second"
wait_until 10 grep -q "cache_dir $T/b/cache lies on the image that is mounted on $T/b" "$T/second.err"
kill "$second"
wait "$second" || die "the second daemon: exit code $?"
ok 'a cache on a mounted image is refused in words'

# in_time WHAT COMMAND…: succeeds, long before TimeoutStopSec= of its unit
in_time() {
  local what=$1 code=0 begin=$SECONDS
  shift
  timeout --signal=KILL 60 "$@" >"$T/command.out" 2>"$T/command.err" || code=$?
  ((code == 0)) || die "$what: exit code $code: $(<"$T/command.err")"
  ((SECONDS - begin <= 8)) || die "$what took $((SECONDS - begin)) s"
  ok "$what: $((SECONDS - begin)) s"
}
in_time 'umount' "$BIN/erofs-oci" umount a
! mountpoint -q "$T/a" || die 'a is mounted still'
in_time 'umount of what is not mounted' "$BIN/erofs-oci" umount nosuch
in_time 'umount --all --force' "$BIN/erofs-oci" umount --all --force
! grep -F "$T/" /proc/self/mountinfo || die 'something is mounted still'
! compgen -G '/run/erofs-oci/mounts/*' || die 'left: a state file'

kill -CONT "$daemon"
"$BIN/erofs-oci" status >"$T/status.out" 2>"$T/status.err" || die "status: $(<"$T/status.err")"
check_sanitizers
