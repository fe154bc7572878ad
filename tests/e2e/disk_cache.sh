#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What was read is on disk: read again it costs no request for data, in a next life of the daemon and with the registry gone, however
# often the daemon is killed, and a bit that flips on the disk never reaches a reader.
. "$(dirname "$0")/lib.sh"

use_own_cache
mkdir "$T/data"
cp "$data"/layer.{erofs,zinfo} "$T/data"

start_registry
mkdir "$T/tree"
head -c 30000000 /dev/urandom >"$T/tree/random"
mkfs.erofs --quiet "$T/image" "$T/tree"
push team/tools "$oci_gzip" "$data/layer.tar.gz" >/dev/null
push team/image "$oci_erofs" "$T/image" >/dev/null
chmod -R a+rX "$T/data"

# read_all FILE: the whole device
read_all() {
  rm -f "$1"
  nbdcopy --connections=1 "$uri" "$1"
}
define_tarindex() {
  define "$registry/team/tools:1.0" 'platform = "linux/amd64"' 'layer = 0' "tarindex = \"$T/data/layer.erofs\"" \
    "zinfo = \"$T/data/layer.zinfo\"" '[registry]' 'insecure = true'
}
define_image() { define "$registry/team/tools:1.0" 'platform = "linux/amd64"' '[registry]' 'insecure = true'; }
define_erofs() { define "$registry/team/image:1.0" 'platform = "linux/amd64"' 'layer = 0' '[registry]' 'insecure = true'; }
kinds='tarindex image erofs'

for kind in $kinds; do
  "define_$kind"
  start_export
  read_all "$T/$kind.first"
  stop_export
  before=$(blob_requests)
  ((before > 0)) || die "$kind: no request was counted"
  start_export
  read_all "$T/again"
  stop_export
  cmp "$T/$kind.first" "$T/again"
  (($(blob_requests) == before)) || die "$kind: $(($(blob_requests) - before)) requests for what was read before"
done
golden_device "$T/device"
same_start "$T/device" "$T/tarindex.first"
same_start "$T/image" "$T/erofs.first"
ok 'what was read costs no request in the next life of the daemon'

flipped=0
for file in "$spans"/*.data; do
  printf '\xff\x00\xff\x00' | dd of="$file" bs=1 seek=100000 conv=notrunc status=none
  flipped=$((flipped + 1))
done
((flipped == 3)) || die "$flipped layers in the cache"
for kind in $kinds; do
  "define_$kind"
  start_export
  read_all "$T/again"
  stop_export
  cmp "$T/$kind.first" "$T/again" || die "$kind: a flipped bit was served"
  (($(grep -c 'differ from their checksum; it is dropped' "$T/export.err") == 1)) || die "$kind: $(<"$T/export.err")"
done
ok 'flipped bits on the disk are found and fetched again'

rm -r "$spans"
define_erofs
for round in 1 2 3 4 5 6 7 8 9 10; do
  start_export
  daemon=$(daemon_of "$export_pid")
  nbdcopy --connections=1 "$uri" "$T/partial" 2>/dev/null &
  reader=$!
  sleep "0.0$((RANDOM % 10))"
  kill -KILL "$daemon"
  wait "$reader" || true
  wait "$export_pid" || true
  ! grep 'the cache' "$T/export.err" || die "round $round: the cache is damaged"
  rm -f "$T/nbd" "$T/partial"
done
start_export
read_all "$T/again"
stop_export
cmp "$T/erofs.first" "$T/again"
! grep 'the cache' "$T/export.err" || die 'the cache is damaged'
ok 'a daemon that is killed while it fills the cache leaves nothing wrong'

for kind in tarindex image; do
  "define_$kind"
  start_export
  read_all "$T/again"
  stop_export
done
stop_registry
for kind in $kinds; do
  "define_$kind"
  start_export
  read_all "$T/again"
  stop_export
  cmp "$T/$kind.first" "$T/again"
done
ok 'with the registry gone it starts and reads'

define "$registry/team/tools:1.0" 'platform = "linux/amd64"' 'start_timeout = "5s"' '[io]' 'deadline = "1s"' '[cache]' 'enabled = false' \
  '[registry]' 'insecure = true'
start_export
! nbdcopy "$uri" null: 2>/dev/null || die 'cache.enabled = false was not heeded'
stop_export
ok 'cache.enabled = false is heeded'
