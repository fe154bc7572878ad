# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For the scripts beside it, which run the programs on this machine against a registry on loopback:
#   . "$(dirname "$0")/lib.sh"
# $BIN is the folder of the programs; $T a folder that goes with the script, and so do all processes in $pids.
# A command that fails and is not asked about ends the script.
set -Eeuo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
data=$top/tests/data
BIN=$(realpath -e "${BIN:-$top/build/dev/bin}")
T=$(mktemp -d /tmp/erofs-oci-e2e.XXXXXX)
name=e2e-$$ # of mounts: state files and locks are the machine's
pids=()

# The daemon of root runs as an ordinary user, who may not enter a checkout in root's home.
chmod 711 "$T"
if ((EUID == 0)) && ! setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$BIN/erofs-ocid"; then
  install -D -t "$T/bin" "$BIN/erofs-oci" "$BIN/erofs-ocid"
  BIN=$T/bin
fi

ok() { echo "ok: $*"; }
die() {
  trap - ERR
  echo "FAIL: $*" >&2
  ! compgen -G "$T/*.err" >/dev/null || tail -n 5 "$T"/*.err >&2
  exit 1
}
skip() { trap - ERR; echo "$*"; exit 77; }
# make_etc_and_run_ours: in a mount namespace of the script's own, so that socket and definitions are its own; there are none yet
make_etc_and_run_ours() {
  [[ -n ${ISOLATED-} ]] || skip 'needs a mount namespace of its own'
  mount -t tmpfs -o mode=755 none /run
  mkdir /run/etc /run/work
  mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work none /etc || skip 'cannot mount over /etc'
  rm -f /etc/erofs-oci/*
}
trap 'die "line $LINENO: $BASH_COMMAND: exit code $?"' ERR

clean_up() {
  local pid
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do
    timeout 20 tail --pid="$pid" -f /dev/null || kill -KILL "$pid" 2>/dev/null || true
  done
  ! mountpoint -q "$T/mnt" || umount "$T/mnt" || true
  rm -rf --one-file-system "$T"
}
trap clean_up EXIT
trap 'exit 143' TERM INT

# wait_until SECONDS COMMAND…
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || die "did not come true in time: $*"
    sleep 0.05
  done
}
needs_fuse() {
  ((EUID == 0)) || skip 'mounting needs root'
  [[ -w /dev/fuse ]] || skip 'there is no /dev/fuse'
  grep -qw erofs /proc/filesystems || modprobe -q erofs || skip 'this kernel has no EROFS'
  [[ $(printf '6.4\n%s\n' "$(uname -r)" | sort -V | head -n 1) == 6.4 ]] ||
    skip "kernel $(uname -r) mounts no blocks of 512 bytes"
}

# --- servers ---

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
answers() { [[ $(curl -ks -o /dev/null -m 5 -w '%{http_code}' "$1") =~ ^(200|401)$ ]]; }

# start_registry [AUTH-YAML]: leaves its address in $registry and its pid in $registry_pid; requests are in $T/registry.log
start_registry() {
  registry=${registry:-127.0.0.1:$(free_port)}
  cat >"$T/registry.yml" <<YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $T/registry}}
http: {addr: $registry, secret: test}
${1-}
YAML
  docker-registry serve "$T/registry.yml" >>"$T/registry.log" 2>&1 &
  registry_pid=$!
  pids+=("$registry_pid")
  wait_until 20 answers "http://$registry/v2/"
}
stop_registry() {
  kill "$registry_pid"
  wait "$registry_pid" || true
}

blob_requests() { grep -c 'GET /v2/.*/blobs/sha256' "$T/registry.log" || true; } # so many since the registry was started
# counting_proxy UPSTREAM ADDRESS: nginx before a registry; sent_bytes tells what of blobs went through
counting_proxy() {
  mkdir -p "$T/nginx"
  cat >"$T/nginx.conf" <<CONF
daemon off;
pid $T/nginx/pid;
error_log $T/nginx/error.log;
events {}
http {
  log_format ours '\$uri \$status \$body_bytes_sent';
  access_log $T/nginx/access.log ours;
  client_body_temp_path $T/nginx/1;
  proxy_temp_path $T/nginx/2;
  fastcgi_temp_path $T/nginx/3;
  uwsgi_temp_path $T/nginx/4;
  scgi_temp_path $T/nginx/5;
  server { listen $2; location / { proxy_pass http://$1; proxy_set_header Host \$http_host; proxy_buffering off; } }
}
CONF
  nginx -c "$T/nginx.conf" -e "$T/nginx/error.log" &
  pids+=("$!")
  wait_until 10 answers "http://$2/v2/"
}
sent_bytes() { awk '$1 ~ /\/blobs\// { sum += $3 } END { print sum + 0 }' "$T/nginx/access.log"; }
sent_at_least() { (($(sent_bytes) >= $1)); }

oci_gzip=application/vnd.oci.image.layer.v1.tar+gzip
oci_tar=application/vnd.oci.image.layer.v1.tar
oci_erofs=application/vnd.erofs.layer.v1
# push REPO TYPE FILE [OPTION…]: as tag 1.0; prints the layer's digest
push() { python3 "$here/push.py" "$registry" "$1" 1.0 "$2" "$3" "${@:4}"; }

# --- definitions ---

# define IMAGE [LINE…]: writes $T/$name.toml; a LINE goes before the tables, "[registry]" and what follows behind
define() {
  local image=$1
  shift
  mkdir -p "$T/mnt"
  printf '%s\n' "image = \"$image\"" "mountpoint = \"$T/mnt\"" "$@" >"$T/$name.toml"
}
# define_golden [LINE…]: the golden layer as team/tools of $registry, by its tarindex and checkpoints
define_golden() {
  define "$registry/team/tools:1.0" 'platform = "linux/amd64"' 'layer = 0' "tarindex = \"$data/layer.erofs\"" \
    "zinfo = \"$data/layer.zinfo\"" "$@" '[registry]' 'insecure = true'
}

# --- the programs ---

# use_own_cache: from here on $BIN runs programs as a user of their own, whose cache of data is in the folder $spans
use_own_cache() {
  local user=()
  ((EUID != 0)) || user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  mkdir "$T/wrapped" "$T/user"
  chmod 1777 "$T" "$T/user"
  cat >"$T/wrapped/erofs-oci" <<SH
#!/bin/sh
exec ${user[*]} env HOME=$T/user XDG_CACHE_HOME=$T/user XDG_RUNTIME_DIR=$T/user $BIN/erofs-oci "\$@"
SH
  chmod 755 "$T/wrapped" "$T/wrapped/erofs-oci"
  BIN=$T/wrapped
  spans=$T/user/erofs-oci/spans
}

# What every program said on standard error is in $T/*.err; a sanitizer's report there fails the script.
check_sanitizers() {
  ! grep -hE 'Sanitizer|runtime error:' "$T"/*.err || die 'a sanitizer complained'
}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}

# start_export: serves $T/$name.toml on $T/nbd; its URI is $uri
start_export() {
  rm -f "$T/export.out" # the child truncates it later than we look at it
  "$BIN/erofs-oci" export "$T/$name.toml" --socket "$T/nbd" >"$T/export.out" 2>"$T/export.err" &
  export_pid=$!
  pids+=("$export_pid")
  uri="nbd+unix:///?socket=$T/nbd"
  wait_until 30 export_answers
  [[ $(<"$T/export.out") == "listening on $T/nbd" ]] || die "export said: $(<"$T/export.out")"
}
export_answers() { grep -q "^listening on" "$T/export.out" || ! kill -0 "$export_pid"; }
stop_export() {
  local code=0
  kill -TERM "$export_pid"
  wait "$export_pid" || code=$?
  ((code == 0)) || die "export ended with $code after SIGTERM: $(tail -n 3 "$T/export.err")"
  [[ ! -e $T/nbd ]] || die 'export left its socket'
  check_sanitizers
}

# start_run: mounts $T/$name.toml on $T/mnt
start_run() {
  rm -f "$T/run.out"
  "$BIN/erofs-oci" run "$T/$name.toml" >"$T/run.out" 2>"$T/run.err" &
  run_pid=$!
  pids+=("$run_pid")
  wait_until 60 run_answers
  grep -qx "mounted on $T/mnt" "$T/run.out" || die "run said: $(<"$T/run.out")$(<"$T/run.err")"
}
run_answers() { grep -q '^mounted on' "$T/run.out" || ! kill -0 "$run_pid"; }
stop_run() {
  local code=0
  kill -TERM "$run_pid"
  wait "$run_pid" || code=$?
  ((code == 0)) || die "run ended with $code after SIGTERM: $(tail -n 3 "$T/run.err")"
  check_sanitizers
  nothing_left
}

# nothing_left: no mount, process, state file, device or folder of this script's mount
nothing_left() {
  ! mountpoint -q "$T/mnt" || die 'left behind: the mount'
  ! grep -F "$T" /proc/self/mountinfo || die 'left behind: a mount'
  [[ ! -e /run/erofs-oci/mounts/$name.json ]] || die 'left behind: the state file'
  if command -v losetup >/dev/null; then
    ! losetup --list --noheadings --output BACK-FILE | grep -F "$name" || die 'left behind: a loop device'
  fi
  ! pgrep --list-full --full "erofs-oci (run|export) $T" || die 'left behind: a client'
  ! daemon_of "${run_pid:-0}" >/dev/null || die 'left behind: a daemon'
}
daemon_of() { pgrep --parent "$1" --exact erofs-ocid; } # CLIENT-PID: the pid of its daemon

# golden_tarball FILE: the golden layer's archive, uncompressed
golden_tar() { gzip -dc "$data/layer.tar.gz" >"$1"; }
# golden_device FILE: what the device of the golden layer must read as, without the zeros behind it
golden_device() { golden_tar "$T/golden.tar"; cat "$data/layer.erofs" "$T/golden.tar" >"$1"; }
# same_start FILE DEVICE-COPY: the copy begins with the file, and the rest is zeros
same_start() {
  local size
  size=$(stat -c %s "$1")
  (($(stat -c %s "$2") >= size)) || die "$2 is shorter than $1"
  cmp -n "$size" "$1" "$2" || die "$2 differs from $1"
  ! tail -c "+$((size + 1))" "$2" | tr -d '\0' | grep -q . || die "$2 has more than zeros behind its end"
}
golden_check() { # DIR
  local out
  out=$(cd "$1" && sha256sum --quiet --check "$data/layer.sha256" 2>&1) || die "content differs: $(head -n 3 <<<"$out")"
}
