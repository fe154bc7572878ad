#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A tarindex and a zinfo by erofs-oci index are those of mkfs.erofs: each pair, served by the daemon, shows the same tree and the
# same bytes; so does ours to the kernel without the daemon, both ways, and to erofs-utils' own reader, whose fsck.erofs accepts it.
. "$(dirname "$0")/lib.sh"
needs_fuse

# tree DIR: every entry as list_tree.py shows it, without times: the golden tarindex was made with one for all (mkfs.erofs -T)
tree() { python3 "$here/list_tree.py" "$1" | awk -F'|' -v OFS='|' '{ $9 = "-"; print }'; }
# entries DIR: as tests/data/layer.list has them; a directory's size is the filesystem's own
entries() { (cd "$1" && find . -printf '%P|%y|%m|%U|%G|%s|%n|%l|%T@\n') | comparable; }
comparable() { awk -F'|' -v OFS='|' '$2 == "d" { $6 = "-" } { print }' | LC_ALL=C sort; }
same() { diff "$1" "$2" >"$T/diff" || die "$3: $(grep -c '^[<>]' "$T/diff") lines differ: $(head -n 4 "$T/diff" | cut -c1-300)"; }

# --- ours, of the layer in a registry and of the same as a file ---

start_registry
push team/tools "$oci_gzip" "$data/layer.tar.gz" >/dev/null
golden_tar "$T/layer.tar"
# index_to NAME SOURCE [OPTION…]
index_to() { "$BIN/erofs-oci" index "$2" --format=tarindex -o "$T/$1.erofs" "${@:3}" >"$T/index.out" 2>"$T/index.err"; }
index_to ours "$registry/team/tools:1.0" --insecure --platform=linux/amd64 --layer=0 --zinfo="$T/ours.zinfo"
index_to again "$data/layer.tar.gz"
index_to plain "$T/layer.tar"
index_to overlay "$data/layer.tar.gz" --whiteouts=overlay
check_sanitizers
cmp "$T/ours.zinfo" "$data/layer.zinfo" || die 'the zinfo is not that of mkfs.erofs'
for other in again plain; do cmp "$T/ours.erofs" "$T/$other.erofs" || die "the tarindex of $other is another"; done
cmp "$T/ours.zinfo" "$T/again.zinfo" || die 'the zinfo of the file is another'
[[ ! -e $T/plain.zinfo ]] || die 'a plain tar has got a zinfo'
ok "ours: tarindex of $(stat -c %s "$T/ours.erofs") bytes, theirs of $(stat -c %s "$data/layer.erofs"); zinfo the same to the byte"

# --- served through the daemon ---

# serve TARINDEX ZINFO NAME [SUMS]: leaves the tree in $T/NAME.tree
serve() {
  define "$registry/team/tools:1.0" 'platform = "linux/amd64"' 'layer = 0' "tarindex = \"$1\"" "zinfo = \"$2\"" \
    'transport = "fuse"' '[registry]' 'insecure = true'
  start_run
  (cd "$T/mnt" && sha256sum --quiet --check "${4-$data/layer.sha256}") || die "$3: content differs"
  tree "$T/mnt" >"$T/$3.tree"
  entries "$T/mnt" >"$T/$3.entries"
  stop_run
}
comparable <"$data/layer.list" >"$T/layer.list"
serve "$data/layer.erofs" "$data/layer.zinfo" golden
serve "$T/ours.erofs" "$T/ours.zinfo" ours
same "$T/golden.tree" "$T/ours.tree" 'ours served, and golden served'
same "$T/layer.list" "$T/ours.entries" 'ours and the list of the layer, with times'
ok "served: $(wc -l <"$T/ours.tree") entries as in golden's, attributes and SHA-256 too; ours have the layer's times"
serve "$T/ours.erofs" "$data/layer.zinfo" mixed
same "$T/golden.tree" "$T/mixed.tree" 'our tarindex with golden checkpoints'
grep -vF '/.wh.' "$data/layer.sha256" >"$T/without-whiteouts"
serve "$data/layer-aufs.erofs" "$data/layer.zinfo" golden-overlay "$T/without-whiteouts"
serve "$T/overlay.erofs" "$T/ours.zinfo" overlay "$T/without-whiteouts"
same "$T/golden-overlay.tree" "$T/overlay.tree" '--whiteouts=overlay'
grep -q 'trusted.overlay.opaque=79' "$T/overlay.tree" || die 'no directory is opaque with --whiteouts=overlay'
! cmp -s "$T/ours.tree" "$T/overlay.tree" || die '--whiteouts=overlay changes nothing'
ok '--whiteouts=overlay: as mkfs.erofs --aufs'

# --- judged without the daemon ---

# mounted NAME FILE OPTIONS
mounted() {
  mount -t erofs -o "ro,loop$3" "$2" "$T/mnt"
  tree "$T/mnt" >"$T/$1.tree"
  umount "$T/mnt"
  same "$T/golden.tree" "$T/$1.tree" "$1"
  ok "the kernel: $1"
}
if losetup --find >/dev/null 2>&1; then
  cat "$T/ours.erofs" "$T/layer.tar" >"$T/both"
  mounted 'tarindex and tar as one device' "$T/both" ''
  layer_loop=$(losetup --find --show --read-only "$T/layer.tar")
  trap 'losetup --detach "$layer_loop"; clean_up' EXIT
  mounted 'tarindex with -o device=' "$T/ours.erofs" ",device=$layer_loop"
else
  echo 'this machine has no loop device: not mounted without the daemon'
fi

code=0
"$here/erofs_utils" fsck.erofs -V >"$T/utils" 2>&1 || code=$?
if ((code == 77)); then
  skip "no erofs-utils to judge it, the rest is as it should be: $(tail -n 1 "$T/utils")"
fi
fsck() { "$here/erofs_utils" fsck.erofs -d3 --device="$T/layer.tar" "$@" >"$T/fsck.out" 2>&1 && ! grep '<E>' "$T/fsck.out"; }
fsck --extract="$T/extracted-ours" --preserve --xattrs "$T/ours.erofs" || die "ours: $(tail -n 3 "$T/fsck.out")"
fsck --extract "$T/overlay.erofs" || die "overlay: $(tail -n 3 "$T/fsck.out")" # it cannot extract an empty attribute
golden_check "$T/extracted-ours"
# It neither extracts hard links as such nor sets times; a directory's links are not its own.
without_links() { awk -F'|' -v OFS='|' '{ $6 = "-"; print }' "$1"; }
tree "$T/extracted-ours" >"$T/extracted.tree"
same <(without_links "$T/golden.tree") <(without_links "$T/extracted.tree") 'what fsck.erofs extracts'
ok "$(head -n 1 "$T/utils"): accepts ours, and extracts from it what the layer holds"
python3 - "$T/ours.erofs" "$T/damaged.erofs" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[1024 + 14] ^= 1  # where the root is
open(sys.argv[2], "wb").write(data)
PY
! fsck "$T/damaged.erofs" 2>/dev/null || die 'fsck.erofs accepts a damaged tarindex'

# Debian's mkfs.erofs makes the same tree of the archive, in no less room. Its times differ: 1.8 reads 5.0123 as 5.123.
"$here/erofs_utils" mkfs.erofs --quiet --tar=i "$T/theirs.erofs" "$T/layer.tar"
fsck "$T/theirs.erofs" || die "its own: $(tail -n 3 "$T/fsck.out")"
serve "$T/theirs.erofs" "$T/ours.zinfo" theirs
same "$T/ours.tree" "$T/theirs.tree" "mkfs.erofs' own tarindex"
size() { stat -c %s "$T/$1.erofs"; }
(($(size ours) * 100 <= $(size theirs) * 115)) || die "ours has $(size ours) bytes, that of mkfs.erofs $(size theirs)"
ok "mkfs.erofs --tar=i makes the same tree, of $(size theirs) bytes; ours has $(size ours)"
