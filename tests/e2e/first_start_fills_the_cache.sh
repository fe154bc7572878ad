#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The first start reads each layer once, for its index, and keeps what it decodes: to read all of the image then fetches nothing again.
# Counted before the registry: the bytes of blobs are fetched 1.05 times at most, of gzip and of plain tar.
. "$(dirname "$0")/lib.sh"

# By a user whose daemon has a cache of its own.
user=()
((EUID != 0)) || user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
mkdir "$T/wrapped" "$T/user" "$T/tree"
chmod 1777 "$T" "$T/user"
cat >"$T/wrapped/erofs-oci" <<SH
#!/bin/sh
exec ${user[*]} env HOME=$T/user XDG_CACHE_HOME=$T/user XDG_RUNTIME_DIR=$T/user $BIN/erofs-oci "\$@"
SH
chmod 755 "$T/wrapped" "$T/wrapped/erofs-oci"
BIN=$T/wrapped

head -c 9000000 /dev/urandom | base64 -w 100 >"$T/tree/text"
head -c 6000000 /dev/urandom >"$T/tree/random"
tar -C "$T/tree" --owner=0 --group=0 -cf "$T/layer.tar" text random
gzip -6 <"$T/layer.tar" >"$T/layer.tar.gz"
start_registry
push team/gzip "$oci_gzip" "$T/layer.tar.gz" >/dev/null
push team/plain "$oci_tar" "$T/layer.tar" >/dev/null
upstream=$registry
registry=127.0.0.1:$(free_port)
counting_proxy "$upstream" "$registry"

spans=$T/user/erofs-oci/spans
# first_start KIND BLOB: starts, reads all, and looks at what that took
first_start() {
  : >"$T/nginx/access.log"
  define "$registry/team/$1:1.0" 'platform = "linux/amd64"' '[registry]' 'insecure = true'
  start_export
  rm -f "$T/device"
  nbdcopy --connections=1 "$uri" "$T/device"
  stop_export
  local size
  size=$(stat -c %s "$2")
  wait_until 10 sent_at_least "$size"
  sent=$(sent_bytes)
  ((sent * 100 <= size * 105)) || die "$1: $sent bytes were fetched of a blob of $size"
  grep -q -c . "$T/device" || die "$1: nothing was read"
  ok "$1: $sent bytes fetched of a blob of $size, to index it and to read it"
}
first_start gzip "$T/layer.tar.gz"
cp "$T/device" "$T/device.gzip"
first_start plain "$T/layer.tar"
! compgen -G "$spans/*.built" || die 'what builds left was not taken'

define "$registry/team/gzip:1.0" 'platform = "linux/amd64"' '[registry]' 'insecure = true'
rm -r "$T/user/erofs-oci/index" "$spans"
printf '%s\n' '[cache]' 'enabled = false' >>"$T/$name.toml"
start_export
nbdcopy --connections=1 "$uri" "$T/device"
stop_export
cmp "$T/device" "$T/device.gzip" || die 'from the cache other bytes are read than from the registry'
! compgen -G "$spans/*.data" || die 'cache.enabled = false was not heeded'
ok 'it reads as what is fetched, and cache.enabled = false is heeded'
