#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nbdinfo, nbdcopy and qemu-img, which know nothing of us, read an export: size, flags, and every byte.
. "$(dirname "$0")/lib.sh"

start_registry
push team/tools "$oci_gzip" "$data/layer.tar.gz" >/dev/null
define_golden
golden_device "$T/want"
start_export

nbdinfo --json "$uri" >"$T/info.json"
size=$(jq '.exports[0]["export-size"]' "$T/info.json")
((size >= $(stat -c %s "$T/want") && size % 512 == 0)) || die "nbdinfo says size $size"
[[ $(jq '.exports[0].is_read_only' "$T/info.json") == true ]] || die 'nbdinfo says writable'
[[ $(nbdinfo --size "$uri") == "$size" ]] || die 'two sizes'
nbdinfo --list "$uri" >/dev/null || die 'nbdinfo cannot list'
ok "nbdinfo: $size bytes, read-only"

nbdcopy "$uri" "$T/copy"
same_start "$T/want" "$T/copy"
nbdcopy --connections=1 --requests=1 "$uri" "$T/copy1"
cmp "$T/copy" "$T/copy1"
ok 'nbdcopy: every byte, with many requests in flight and with one'

[[ $(qemu-img info --output=json "$uri" | jq '."virtual-size"') == "$size" ]] || die 'qemu-img info differs'
qemu-img convert -f raw -O raw "$uri" "$T/qemu"
cmp "$T/copy" "$T/qemu"
ok 'qemu-img: the same'
stop_export
