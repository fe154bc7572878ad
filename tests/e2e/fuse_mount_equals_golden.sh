#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A layer mounted over fuse from a registry is the layer: every file's content and every entry's attributes. SIGTERM ends
# it with 0 and leaves nothing.
. "$(dirname "$0")/lib.sh"
needs_fuse

# entries DIR: as tests/data/layer.list has them
entries() { (cd "$1" && find . -printf '%P|%y|%m|%U|%G|%s|%n|%l|%T@\n'); }
# A directory's size is the filesystem's own; the golden tarindex was made with one time for all (mkfs.erofs -T).
comparable() { awk -F'|' -v OFS='|' '$2 == "d" { $6 = "-" } { $9 = "-"; print }' | LC_ALL=C sort; }

start_registry
push team/tools "$oci_gzip" "$data/layer.tar.gz" >/dev/null
define_golden 'transport = "fuse"'
start_run
golden_check "$T/mnt"
ok "$(wc -l <"$data/layer.sha256") files have their SHA-256"
entries "$T/mnt" >"$T/entries"
diff <(comparable <"$data/layer.list") <(comparable <"$T/entries") >"$T/diff" || die "entries differ: $(head -n 6 "$T/diff")"
! cut -d'|' -f9 "$T/entries" | grep -vx '1000000000\.0*' || die 'times differ'
ok "$(wc -l <"$data/layer.list") entries have their attributes"
! touch "$T/mnt/x" 2>/dev/null || die 'it can be written to'
[[ $("$BIN/erofs-oci" status "$name" --json | jq -r '.mounts[0].health') == serving ]] || die 'status does not say serving'
stop_run
ok 'SIGTERM: exit 0, nothing left'
