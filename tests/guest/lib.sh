# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For scenarios, which run in the guest:  . /host/tests/guest/lib.sh
# BOOT is the number of the boot, from 1. A command that fails and is not asked about ends the scenario.
set -Eeuo pipefail

data=/host/tests/data
registry=127.0.0.1:5000

# --- verdicts ---

ok() { echo "ok: $*"; }
die() { trap - ERR; echo "FAIL: $*" >&2; echo "$*" >/host/results/reason; exit 1; }
skip() { trap - ERR; echo "SKIP: $*"; echo "$*" >/host/results/reason; exit 77; }
trap 'die "line $LINENO: $BASH_COMMAND: exit code $?"' ERR

# check COMMAND…: it must succeed
check() { "$@" || die "exit code $?: $*"; }

# check_fails COMMAND…: it must fail, and not by a signal
check_fails() {
  local code=0
  "$@" || code=$?
  ((code > 0 && code < 128)) || die "exit code $code where a failure was due: $*"
}

# wait_until SECONDS COMMAND…
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || die "did not come true in time: $*"
    sleep 0.1
  done
}

# rounds NUMBER: how often to repeat: $EROFS_OCI_ROUNDS of whoever called tests/guest/run, else the number
rounds() { local given; given=$(cat /host/results/rounds); echo "${given:-$1}"; }

# pause_limit ROUNDS MILLISECONDS: the longest pause that so many rounds may show: what is promised where they are many, as tests/run
# --long has them, alone on the machine; 5000 where a few run beside another guest
pause_limit() { (($1 >= 100)) && echo "$2" || echo 5000; }

# The scenario is called again after a reboot, with BOOT one higher. Ends this boot.
reboot_guest() { echo "reboot $BOOT"; touch /run/guest-reboot; exit 0; }

# Blocks smaller than a page, which a tarindex has, are known to EROFS from kernel 6.4 on.
has_small_blocks() { [[ $(printf '6.4\n%s\n' "$(uname -r)" | sort -V | head -n 1) == 6.4 ]]; }
needs_small_blocks() { has_small_blocks || skip "kernel $(uname -r | cut -d. -f1,2) cannot mount a tarindex: its blocks of 512 bytes need 6.4"; }

# --- registry ---

# start_registry [USER PASSWORD]: docker-registry on $registry, its data kept over reboots; with a password where one is given
# shellcheck disable=SC2120
start_registry() {
  local auth=''
  mkdir -p /var/lib/test-registry
  if (($#)); then
    htpasswd -Bbn "$1" "$2" >/etc/test-registry.htpasswd
    auth='auth: {htpasswd: {realm: test, path: /etc/test-registry.htpasswd}}'
  fi
  cat >/etc/test-registry.yml <<END
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: /var/lib/test-registry}, delete: {enabled: true}}
http: {addr: $registry, secret: test}
$auth
END
  cat >/etc/systemd/system/test-registry.service <<END
[Service]
ExecStart=/usr/bin/docker-registry serve /etc/test-registry.yml
[Install]
WantedBy=multi-user.target
END
  systemctl daemon-reload
  systemctl restart test-registry
  wait_until 30 registry_answers
}
stop_registry() { systemctl stop test-registry; }
registry_answers() { [[ $(curl -s -o /dev/null -w '%{http_code}' "http://$registry/v2/") =~ ^(200|401)$ ]]; }

# drop_packets, pass_packets: to the registry; nobody is told that they are lost
registry_rule=(INPUT -p tcp --dport "${registry#*:}" -j DROP)
drop_packets() { check iptables-legacy -A "${registry_rule[@]}"; }
pass_packets() { check iptables-legacy -D "${registry_rule[@]}"; }

# The user of push_*: USER:PASSWORD, or nothing
registry_login=
registry_curl() { curl -fsS ${registry_login:+-u "$registry_login"} "$@"; }

digest_of() { echo "sha256:$(sha256sum "$1" | cut -d' ' -f1)"; }

push_blob() { # REPO FILE
  local where
  where=$(registry_curl -D - -o /dev/null -X POST "http://$registry/v2/$1/blobs/uploads/" |
    tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
  [[ $where == http* ]] || where=http://$registry$where
  [[ $where == *\?* ]] && where+='&' || where+='?'
  registry_curl -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$2" \
    "${where}digest=$(digest_of "$2")"
}

push_manifest() { # REPO REFERENCE FILE: its media type is in it
  registry_curl -o /dev/null -X PUT -H "Content-Type: $(jq -r .mediaType "$3")" --data-binary "@$3" \
    "http://$registry/v2/$1/manifests/$2"
}

# descriptor TYPE FILE: JSON
descriptor() {
  jq -n --arg type "$1" --arg digest "$(digest_of "$2")" --argjson size "$(stat -c %s "$2")" \
    '{mediaType: $type, digest: $digest, size: $size}'
}

# push_layer REPO TAG FILE.tar.gz: an image of this one layer for linux/amd64, behind an index
push_layer() {
  local dir oci=application/vnd.oci.image
  dir=$(mktemp -d)
  jq -n --arg id "sha256:$(gzip -dc "$3" | sha256sum | cut -d' ' -f1)" \
    '{architecture: "amd64", os: "linux", config: {}, rootfs: {type: "layers", diff_ids: [$id]}}' >"$dir/config"
  jq -n --arg type "$oci.manifest.v1+json" --argjson config "$(descriptor "$oci.config.v1+json" "$dir/config")" \
    --argjson layer "$(descriptor "$oci.layer.v1.tar+gzip" "$3")" \
    '{schemaVersion: 2, mediaType: $type, config: $config, layers: [$layer]}' >"$dir/manifest"
  jq -n --arg type "$oci.index.v1+json" --argjson manifest "$(descriptor "$oci.manifest.v1+json" "$dir/manifest")" \
    '{schemaVersion: 2, mediaType: $type,
      manifests: [$manifest + {platform: {architecture: "amd64", os: "linux"}}]}' >"$dir/index"
  push_blob "$1" "$3"
  push_blob "$1" "$dir/config"
  push_manifest "$1" "$(digest_of "$dir/manifest")" "$dir/manifest"
  push_manifest "$1" "$2" "$dir/index"
  rm -r "$dir"
}

# push_layout REPO TAG LAYOUT: the image of that name in an OCI layout, as that tag
push_layout() {
  local manifest blob
  manifest=$(jq -r --arg tag "$2" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $tag).digest' \
    "$3/index.json")
  manifest=$3/blobs/${manifest/:/\/}
  for blob in $(jq -r '.config.digest, .layers[].digest' "$manifest"); do push_blob "$1" "$3/blobs/${blob/:/\/}"; done
  push_manifest "$1" "$2" "$manifest"
}

# write_login FILE USER PASSWORD: a credential for $registry, in the form of Docker's config.json
write_login() {
  jq -n --arg host "$registry" --arg auth "$(printf '%s:%s' "$2" "$3" | base64 -w 0)" '{auths: {($host): {auth: $auth}}}' |
    install -D -m 600 /dev/stdin "$1"
}

# --- golden data and definitions ---

golden_tree=/var/lib/golden

# The golden layer unpacked, once.
unpack_golden() {
  [[ ! -d $golden_tree ]] || return 0
  mkdir -p "$golden_tree"
  tar -C "$golden_tree" -xpf "$data/layer.tar.gz" --numeric-owner --xattrs --xattrs-include='*'
}

# golden_image FILE: an EROFS image of 4 KiB blocks with the golden layer's files, which every kernel mounts
golden_image() { unpack_golden; mkfs.erofs --quiet "$1" "$golden_tree"; }

# golden_check DIR: each regular file of the golden layer is there with its content
golden_check() {
  local out
  out=$(cd "$1" && sha256sum --quiet --check "$data/layer.sha256" 2>&1) ||
    die "$1 differs from the golden layer: $(head -n 3 <<<"$out" | paste -sd ' ' | cut -c1-300)"
}

# define_tarindex NAME [LINE…]: the golden layer out of the registry, by the golden tarindex and checkpoints; a LINE goes
# before the tables
define_tarindex() {
  local name=$1
  shift
  mkdir -p /etc/erofs-oci /var/lib/erofs-oci "/srv/$name"
  cp "$data/layer.erofs" "/var/lib/erofs-oci/$name.erofs"
  cp "$data/layer.zinfo" "/var/lib/erofs-oci/$name.zinfo"
  {
    printf '%s\n' "image = \"$registry/team/tools:1.0\"" 'platform = "linux/amd64"' 'layer = 0' \
      "tarindex = \"/var/lib/erofs-oci/$name.erofs\"" "zinfo = \"/var/lib/erofs-oci/$name.zinfo\"" \
      "mountpoint = \"/srv/$name\"" "$@" '[registry]' 'insecure = true'
  } >"/etc/erofs-oci/$name.toml"
}

# define_local NAME [LINE…]: the golden layer's files as a local EROFS image
define_local() {
  local name=$1
  shift
  mkdir -p /etc/erofs-oci "/srv/$name"
  [[ -f /var/lib/golden.erofs ]] || golden_image /var/lib/golden.erofs
  printf '%s\n' 'image = "file:/var/lib/golden.erofs"' "mountpoint = \"/srv/$name\"" "$@" >"/etc/erofs-oci/$name.toml"
}

# define_large NAME [LINE…]: 48 MiB of noise in large files, as a local image; /var/lib/large.sums tells the files
define_large() {
  local name=$1 i
  shift
  if [[ ! -f /var/lib/large.erofs ]]; then
    mkdir -p /var/lib/large
    for i in {1..12}; do head -c 4M /dev/urandom >"/var/lib/large/$i"; done
    (cd /var/lib/large && sha256sum -- *) >/var/lib/large.sums
    mkfs.erofs --quiet /var/lib/large.erofs /var/lib/large
    rm -r /var/lib/large
  fi
  mkdir -p /etc/erofs-oci "/srv/$name"
  printf '%s\n' 'image = "file:/var/lib/large.erofs"' "mountpoint = \"/srv/$name\"" "$@" >"/etc/erofs-oci/$name.toml"
}

# set_key NAME KEY VALUE: another value in NAME.toml
set_key() { sed -i "s|^$2 = .*|$2 = $3|" "/etc/erofs-oci/$1.toml"; }

# define NAME [LINE…]: the best that this kernel can mount; starts the registry where it is needed
define() {
  if has_small_blocks; then
    registry_answers || { start_registry; push_layer team/tools 1.0 "$data/layer.tar.gz"; }
    define_tarindex "$@"
  else
    define_local "$@"
  fi
}

# --- mounts ---

unit() { echo "erofs-oci@$1.service"; }
state_of() { systemctl is-active "$(unit "$1")" || true; }

# transport_of NAME: nbd, or fuse, by what is mounted
transport_of() {
  local source
  source=$(findmnt --noheadings --types erofs --output SOURCE --mountpoint "/srv/$1") || die "/srv/$1 is not an EROFS mount"
  [[ $source == /dev/nbd* ]] && echo nbd || echo fuse
}

# start NAME [TRANSPORT], stop NAME: by systemd, and checked from outside; the transport is nbd where it is not said
start() {
  check systemctl start "$(unit "$1")"
  [[ $(transport_of "$1") == "${2:-nbd}" ]] || die "/srv/$1 is mounted over $(transport_of "$1"), not ${2:-nbd}"
}
stop() {
  check systemctl stop "$(unit "$1")"
  [[ $(state_of "$1") == inactive ]] || die "$(unit "$1") is $(state_of "$1") after the stop"
}

# is_listed NAME: `erofs-oci status --json` names it
is_listed() { erofs-oci status --json | jq --exit-status --arg name "$1" 'any(.. | strings; . == $name)' >/dev/null; }

# start_reader DIR [SUMS]: reads the golden files, or those in SUMS, again and again past the page cache, in the background
start_reader() {
  local sums=${2-$data/layer.sha256}
  rm -f /run/reader.*
  touch /run/reader.rounds
  (
    trap - ERR
    set +e
    until [[ -e /run/reader.stop ]]; do
      drop_caches
      (cd "$1" && sha256sum --quiet --check "$sums") >>/run/reader.errors 2>&1
      echo >>/run/reader.rounds
    done
  ) &
  reader=$!
  wait_until 60 reader_rounds 1
}
reader_rounds() { (($(wc -l </run/reader.rounds) >= $1)); } # at least so many rounds are done

# reader_goes_on SECONDS: it begins and ends a round from now on, and no read has failed so far
reader_goes_on() {
  wait_until "$1" reader_rounds $(($(wc -l </run/reader.rounds) + 2))
  [[ ! -s /run/reader.errors ]] || die "the reader failed: $(head -n 3 /run/reader.errors | paste -sd ' ' | cut -c1-300)"
}
stop_reader() {
  touch /run/reader.stop
  wait "$reader"
  [[ ! -s /run/reader.errors ]] || die "the reader failed: $(head -n 3 /run/reader.errors | paste -sd ' ' | cut -c1-300)"
  ok "$(wc -l </run/reader.rounds) rounds read without an error"
}

# start_checked_reader DIR SUMS: four readers of the files in SUMS, in the background (reader.py)
checked=/run/checked
start_checked_reader() {
  rm -f "$checked".*
  python3 /host/tests/guest/reader.py "$1" "$2" "$checked" &
  checked_reader=$!
  local number
  for number in {0..3}; do wait_until 60 test -e "$checked.$number"; done
}
checked_sum() { jq -s "map(.$1) | add" "$checked".[0-9]; }
checked_reads_on() { (($(checked_sum bytes) > $1)); } # more than so many bytes are read
# checked_goes_on SECONDS: something is read from now on, and nothing failed or was wrong
checked_goes_on() {
  wait_until "$1" checked_reads_on "$(checked_sum bytes)"
  [[ $(checked_sum failed) == '[]' ]] || die "reads failed: $(checked_sum failed | head -c 300)"
  [[ $(checked_sum wrong) == '[]' ]] || die "files are wrong: $(checked_sum wrong | head -c 300)"
}
# stop_checked_reader WHAT MILLISECONDS: tells what was seen; the longest pause was below that
stop_checked_reader() {
  local longest
  touch "$checked.stop"
  wait "$checked_reader"
  longest=$(jq -s 'map(.longest_ms) | max' "$checked".[0-9])
  echo "$1: $(checked_sum files) files, $(($(checked_sum bytes) >> 20)) MiB read; $(checked_sum 'failed | length') reads failed, \
$(checked_sum 'wrong | length') files wrong; longest pause $longest ms"
  [[ $(checked_sum failed) == '[]' && $(checked_sum wrong) == '[]' ]] || die "$1: a read failed or was wrong"
  ((longest < $2)) || die "$1: the longest pause was $longest ms, not below $2"
}

# --- the daemon ---

# use_daemon: what a package's installation does
use_daemon() {
  check systemctl enable --quiet --now erofs-ocid.socket
}
daemon_pid() { systemctl show --property MainPID --value erofs-ocid.service; }
daemon_is_new() { local pid; pid=$(daemon_pid); [[ $pid != 0 && $pid != "$1" ]] && systemctl --quiet is-active erofs-ocid; }
# registry_connections: those to the registry; once nobody else has one, those that the daemon keeps for what it asks next
registry_connections() { awk -v port=":$(printf %04X "${registry#*:}")" 'substr($3, 9) == port && $10 != 0' /proc/net/tcp | wc -l; }
# Without these, as many as were needed at a time, and a cached layer's two files, which are closed some time after its last use.
daemon_descriptors() {
  local all
  all=$(find "/proc/$(daemon_pid)/fd" -mindepth 1 ! -lname '/var/cache/erofs-oci/*.map' ! -lname '/var/cache/erofs-oci/*.data' | wc -l)
  echo $((all - $(registry_connections)))
}
# set_daemon LINE…: a drop-in with these lines in [Service]; without any, none
set_daemon() {
  local dir=/etc/systemd/system/erofs-ocid.service.d
  mkdir -p "$dir"
  rm -f "$dir/test.conf"
  (($# == 0)) || printf '%s\n' '[Service]' "$@" >"$dir/test.conf"
  systemctl daemon-reload
}
# journal_count WORDS: how many lines of the daemon have them
journal_count() { journalctl --unit erofs-ocid.service --output cat --grep "$1" 2>/dev/null | grep -c . || true; }
stored_descriptors() { systemctl show --property NFileDescriptorStore --value erofs-ocid.service; }

# --- the state of the system ---

# leftovers: nothing of a mount is left
no_loop_devices() { [[ -z $(losetup --list --noheadings --output NAME) ]]; }

leftovers() {
  local found
  for found in /sys/block/nbd*/pid; do
    [[ ! -e $found ]] || die "left behind: connected device $found"
  done
  wait_until 10 no_loop_devices # udev may still probe one that is to vanish
  found=$(findmnt --noheadings --types erofs || true)
  [[ -z $found ]] || die "left behind: mount $found"
  found=$(pgrep --list-full --exact erofs-oci || true)
  [[ -z $found ]] || die "left behind: process $found"
  found=$(find /run/erofs-oci/mounts -type f 2>/dev/null || true)
  [[ -z $found ]] || die "left behind: state $found"
}

# io_errors: the kernel's complaints about block devices and EROFS in this boot
io_errors() { dmesg | grep -E 'I/O error|blk_update_request|erofs.*(error|fail)' || true; }
no_io_errors() { [[ -z $(io_errors) ]] || die "kernel: $(io_errors | paste -sd ' ' | cut -c1-300)"; }

drop_caches() { sync; echo 3 >/proc/sys/vm/drop_caches; }
