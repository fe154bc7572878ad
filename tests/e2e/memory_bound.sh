#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The daemon stays below 96 MiB (VmHWM) while a layer of 1 GiB is read, sequentially and by many at once.
. "$(dirname "$0")/lib.sh"
limit_kib=$((96 * 1024))

(($(df --output=avail -k /tmp | tail -n 1) > 3500000)) || skip 'it needs 3.5 GB in /tmp'
start_registry
mkdir "$T/tree"
head -c 1073741824 /dev/urandom >"$T/tree/random"
mkfs.erofs --quiet "$T/image" "$T/tree"
rm -r "$T/tree"
push team/big "$oci_erofs" "$T/image" >/dev/null
size=$(stat -c %s "$T/image")
want=$(sha256sum <"$T/image")
rm "$T/image"

define "$registry/team/big:1.0" 'platform = "linux/amd64"' 'layer = 0' '[registry]' 'insecure = true'
start_export
daemon=$(daemon_of "$export_pid")
peak() { awk '/^VmHWM/ { print $2 }' "/proc/$daemon/status"; }
got=$(nbdcopy --connections=1 "$uri" - | { head -c "$size" | sha256sum; cat >/dev/null; })
[[ $got == "$want" ]] || die 'the content differs'
echo "after a sequential read: $(peak) KiB"
for _ in 1 2; do nbdcopy --connections=4 --requests=64 --request-size=4194304 "$uri" null: & readers+=("$!"); done
wait "${readers[@]}"
(($(peak) < limit_kib)) || die "VmHWM is $(peak) KiB, the limit $limit_kib"
ok "VmHWM $(peak) KiB, below $limit_kib, over 3 GiB read"
stop_export
