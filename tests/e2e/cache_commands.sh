#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# erofs-oci cache ls, verify, rm and gc, asked of a daemon whose cache another one has filled.
if [[ -z ${ISOLATED-} ]] && unshare --mount true 2>/dev/null; then ISOLATED=1 exec unshare --mount "$0"; fi
. "$(dirname "$0")/lib.sh"
[[ -n ${ISOLATED-} ]] || skip 'needs root, and a mount namespace of its own' # so that the control socket is ours
mount -t tmpfs -o mode=755 none /run

start_registry
mkdir "$T/tree" "$T/user"
chmod 1777 "$T" "$T/user"
head -c 5000000 /dev/urandom >"$T/tree/random"
mkfs.erofs --quiet "$T/image" "$T/tree"
push team/tools "$oci_gzip" "$data/layer.tar.gz" >/dev/null
push team/image "$oci_erofs" "$T/image" >/dev/null
gzip_layer=sha256:$(sha256sum <"$data/layer.tar.gz" | cut -d' ' -f1)
erofs_layer=sha256:$(sha256sum <"$T/image" | cut -d' ' -f1)

user=(setpriv --reuid=65534 --regid=65534 --clear-groups env "HOME=$T/user" "XDG_CACHE_HOME=$T/user" "XDG_RUNTIME_DIR=$T/user")
cli=$BIN/erofs-oci
mkdir "$T/wrapped"
printf '#!/bin/sh\nexec %s %s "$@"\n' "${user[*]}" "$cli" >"$T/wrapped/erofs-oci"
chmod 755 "$T/wrapped" "$T/wrapped/erofs-oci"
BIN=$T/wrapped
for image in team/image:1.0 team/tools:1.0; do
  define "$registry/$image" 'platform = "linux/amd64"' 'layer = 0' '[registry]' 'insecure = true'
  start_export
  nbdcopy "$uri" null:
  stop_export
done
spans=$T/user/erofs-oci/spans

install -d -o 65534 -g 65534 /run/erofs-oci
"${user[@]}" "$(dirname "$cli")/erofs-ocid" --listen /run/erofs-oci/control --settings /nonexistent \
  --state-dir "$T/user/erofs-oci" --cache-dir "$spans" 2>"$T/daemon.err" &
daemon=$!
pids+=("$daemon")
wait_until 10 test -S /run/erofs-oci/control

"$cli" cache ls >"$T/ls"
(($(wc -L <"$T/ls") <= 80)) || die "cache ls is wide: $(<"$T/ls")"
grep -q "^${erofs_layer:0:19}  plain *all 5 " "$T/ls" || die "cache ls: $(<"$T/ls")"
"$cli" cache ls --json >"$T/json"
[[ $(jq -r --arg layer "$gzip_layer" '.layers[] | select(.layer == $layer) | .table' "$T/json") == index ]] || die "$(<"$T/json")"
ok 'ls names the layers'

"$cli" cache verify >"$T/verify"
grep -q ', 0 damaged$' "$T/verify" || die "verify: $(<"$T/verify")"
file=$(echo "$spans/${erofs_layer#sha256:}"-*.data)
printf '\xff\x00\xff' | dd of="$file" bs=1 seek=3000000 conv=notrunc status=none
code=0
"$cli" cache verify >"$T/verify" || code=$?
((code == 1)) && grep -qx "$erofs_layer: span 2 was damaged; it is fetched again when it is read" "$T/verify" || die "$(<"$T/verify")"
"$cli" cache verify | grep -q ', 0 damaged$'
"$cli" cache ls | grep -q "^${erofs_layer:0:19}  plain *4/5 "
ok 'verify names what is damaged, and drops it'

"$cli" cache rm "${erofs_layer:0:15}" | grep -q '^freed 4'
[[ ! -e $file ]] || die "left: $file"
! "$cli" cache rm sha256:00000000 2>"$T/rm.err" || die 'removed what is not there'
code=0
"$cli" cache rm >/dev/null 2>&1 || code=$?
((code == 2)) || die "cache rm without a layer: exit code $code"
"$cli" cache gc >"$T/gc"
grep -q "/spans/${gzip_layer#sha256:}-" "$T/gc" || die "gc: $(<"$T/gc")"
[[ $("$cli" cache ls | wc -l) == 2 ]] || die "$("$cli" cache ls)"
"$cli" cache rm --all | grep -qx 'freed 0 B'
ok 'rm and gc remove'
kill "$daemon"
wait "$daemon"
check_sanitizers
