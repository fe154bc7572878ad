#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A zstd layer that is one frame cannot be entered anywhere: its first read fetches it, once, and from then on all of it is on disk.
. "$(dirname "$0")/lib.sh"

use_own_cache
start_registry
mkdir "$T/tree"
head -c 20000000 /dev/urandom >"$T/tree/random"
seq 3000000 >"$T/tree/numbers"
tar -C "$T" -cf "$T/tree.tar" tree
zstd --quiet "$T/tree.tar" -o "$T/tree.tar.zst"
layer=$(push team/tools application/vnd.oci.image.layer.v1.tar+zstd "$T/tree.tar.zst")
define "$registry/team/tools:1.0" 'platform = "linux/amd64"' '[registry]' 'insecure = true'

"$BIN/erofs-oci" index "$T/$name.toml" >"$T/index.out" 2>"$T/index.err"
grep -q 'one frame: whole fetch' "$T/index.out" || die "index said: $(<"$T/index.out")"
"$BIN/erofs-oci" inspect "$T/$name.toml" | grep -q 'whole fetch' || die 'inspect does not say so'
ok 'index and inspect say that it is fetched as a whole'

read_all() {
  rm -f "$1"
  nbdcopy --connections=1 "$uri" "$1"
}
data_is_complete() { (($(stat -c '%b * 512' "$spans"/*.data) >= $(stat -c %s "$T/tree.tar"))); }
index_requests=$(blob_requests)
start_export
python3 "$here/read_nbd.py" "$T/nbd" 4096000 4096 >"$T/piece"
wait_until 20 data_is_complete
first_requests=$(($(blob_requests) - index_requests))
read_all "$T/device"
stop_export
(($(blob_requests) - index_requests == first_requests)) || die 'what was fetched with the first read was fetched again'
(($(grep -c "GET /v2/.*/blobs/$layer.*" "$T/registry.log" || true) > 0)) || die 'no request was counted'
cmp -n 4096 "$T/piece" "$T/device" 0 4096000
ok "the first read fetched all of it, by $first_requests requests"

stop_registry
start_export
read_all "$T/again"
stop_export
cmp "$T/device" "$T/again"
rm "$T/again"
# Files lie in the device whole, each at a block of its own.
python3 - "$T" <<'PY'
import mmap, sys
folder = sys.argv[1]
with open(folder + "/device") as device:
    content = mmap.mmap(device.fileno(), 0, access=mmap.ACCESS_READ)
    for name in "random", "numbers":
        with open(f"{folder}/tree/{name}", "rb") as file:
            wanted = file.read()
        at = content.find(wanted)
        assert at >= 0 and at % 4096 == 0, f"{name} is not in the device"
PY
ok 'every byte is right, also with the registry gone'
