# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# For the benchmarks beside it, which run calls one after the other, each in a mount namespace of its own:
#   . "$(dirname "$0")/lib.sh"
# $BIN: the programs; $DATA: what data made; $ROUNDS: how often each thing is measured, medians are shown; $SMOKE is set where figures
# do not matter. A registry on loopback has the images team/big and team/multi. Every byte that is measured is compared as well.
if [[ -z ${ISOLATED-} ]]; then ISOLATED=1 exec unshare --mount "$0" "$@"; fi
benches=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=bench
. "$benches/../e2e/lib.sh"
name=bench

# Mounts go before what serves them.
clean_up_mounts() {
  local mounted
  for mounted in "$T"/mounts/* "$T/loop"; do ! mountpoint -q "$mounted" 2>/dev/null || umount --lazy "$mounted"; done
  umount --lazy /etc
  clean_up
}
trap clean_up_mounts EXIT

cpus=$(nproc)
all_cpus=0-$((cpus - 1))
owner=$(id -u erofs-oci 2>/dev/null || id -u nobody)
as_owner=(setpriv --reuid="$owner" --regid="$owner" --clear-groups)

mount -t tmpfs -o mode=755 none /run
cp -a /etc "$T/etc"
mount --bind "$T/etc" /etc
mkdir -p /etc/erofs-oci /run/erofs-oci/mounts

# --- figures ---

now() { date +%s%N; }
median() { sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
per() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
ms() { awk -v ns="$1" 'BEGIN { printf "%.1f ms", ns / 1e6 }'; }
seconds() { awk -v ns="$1" 'BEGIN { printf "%.3f s", ns / 1e9 }'; }
mib() { awk -v bytes="$1" 'BEGIN { printf "%.1f MiB", bytes / 2^20 }'; }
# row WHAT OURS RIVAL RATIO WANTED: a line of the table
row() { printf '%-74s %12s %12s %8s   %s\n' "$1" "$2" "$3" "$4" "$5"; }
# speed WHAT OURS-NS RIVAL-NS WANTED: the ratio is of speeds
speed() { row "$1" "$(seconds "$2")" "$(seconds "$3")" "$(per "$3" "$2")" "$4"; }
missing() { row "$1" - - - "not measured: needs $2"; }
has() { command -v "$1" >/dev/null; }

# timed CPUS COMMAND…: runs it on these processors; its time in ns
timed() {
  local on=$1 begin
  shift
  begin=$(now)
  taskset -c "$on" "$@" >/dev/null 2>"$T/timed.err" || die "$*: $(<"$T/timed.err")"
  echo "$(($(now) - begin))"
}
pin() { # CPUS PID…: with all threads
  local on=$1 pid
  shift
  for pid in "$@"; do taskset -a -c -p "$on" "$pid" >/dev/null; done
}
# median_of COMMAND…: of what it prints, over all rounds
median_of() {
  local round
  for ((round = 0; round < ROUNDS; ++round)); do "$@"; done | median
}

# --- images ---

start_registry
big=$(python3 "$benches/push_layers.py" "$registry" team/big "$DATA/layer.tar.gz")
multi=$(python3 "$benches/push_layers.py" "$registry" team/multi "$DATA"/multi/*.tar.gz)
read -r big_digest big_bytes <<<"$big"
read -r multi_digest multi_bytes <<<"$multi"
big_blob=http://$registry/v2/team/big/blobs/sha256:$(sha256sum "$DATA/layer.tar.gz" | cut -d ' ' -f 1)
start_sha256=$(<"$DATA/start.sha256")
direct=$registry

# through_link RTT-MS [MBIT]: what is mounted from now on comes over a long line
through_link() {
  local port
  port=$(free_port)
  python3 "$benches/slow_link.py" "$port" "${direct#*:}" "$@" >"$T/link.out" 2>"$T/link.err" &
  link_pid=$!
  pids+=("$link_pid")
  wait_until 10 grep -q listening "$T/link.out"
  registry=127.0.0.1:$port
}
no_link() {
  kill "$link_pid"
  registry=$direct
}

# --- exports, by a user with a cache of its own ---

export_home=$T/user
install -d -o "$owner" "$export_home"
chmod 711 "$T"
# export_image REPO [LINE…]: leaves the socket's path in $socket and the pids in $export_pid, $daemon_pid; on the processors $export_cpus
export_cpus=$all_cpus
export_image() {
  socket=$export_home/nbd
  define "$registry/team/$1:1.0" "${@:2}" '[registry]' 'insecure = true'
  rm -f "$T/export.out" "$socket"
  taskset -c "$export_cpus" "${as_owner[@]}" env HOME="$export_home" XDG_CACHE_HOME="$export_home" XDG_RUNTIME_DIR="$export_home" \
    "$BIN/erofs-oci" export "$T/$name.toml" --socket "$socket" >"$T/export.out" 2>"$T/export.err" &
  export_pid=$!
  pids+=("$export_pid")
  wait_until 300 export_answers
  uri="nbd+unix:///?socket=$socket"
  daemon_pid=$(daemon_of "$export_pid") || die "export ended: $(<"$T/export.err")"
}
end_export() {
  kill -TERM "$export_pid"
  wait "$export_pid" || die "export: $(tail -n 3 "$T/export.err")"
}
forget_cached() { rm -rf "$export_home/erofs-oci/spans" "$service/cache"; install -d -o "$owner" "$service/cache"; }

# --- mounts, by the service ---

service=$T/service
install -d -o "$owner" "$service" "$service/state" "$service/cache" /run/erofs-oci
start_service() {
  rm -f /run/erofs-oci/control
  "${as_owner[@]}" "$BIN/erofs-ocid" --listen /run/erofs-oci/control --state-dir "$service/state" --cache-dir "$service/cache" 2>"$T/service.err" &
  service_pid=$!
  pids+=("$service_pid")
  wait_until 10 test -S /run/erofs-oci/control
}
stop_service() {
  kill -TERM "$service_pid"
  wait "$service_pid" || die "erofs-ocid: $(tail -n 3 "$T/service.err")"
}
# declare_mount NAME IMAGE [LINE…]
declare_mount() {
  mkdir -p "$T/mounts/$1"
  printf '%s\n' "image = \"$2\"" "mountpoint = \"$T/mounts/$1\"" 'transport = "fuse"' "${@:3}" '[registry]' 'insecure = true' \
    >"/etc/erofs-oci/$1.toml"
}
can_mount() { ((EUID == 0)) && [[ -w /dev/fuse ]] && { grep -qw erofs /proc/filesystems || modprobe -q erofs; }; }
mount_image() { "$BIN/erofs-oci" mount "$1" >>"$T/mount.out" 2>"$T/mount.err" || die "mount $1: $(<"$T/mount.err")"; }
umount_image() { "$BIN/erofs-oci" umount "$1" >>"$T/mount.out" 2>"$T/mount.err" || die "umount $1: $(<"$T/mount.err")"; }
