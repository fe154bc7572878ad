#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every kind of source reads, byte for byte, as what it is made of.
. "$(dirname "$0")/lib.sh"

# reads_as FILE WORDS: the definition's device is this file
reads_as() {
  start_export
  nbdcopy "$uri" "$T/copy"
  stop_export
  same_start "$1" "$T/copy"
  rm "$T/copy"
  ok "$2"
}
# remote REPO [LINE…]: its layer
remote() { define "$registry/$1:1.0" 'platform = "linux/amd64"' 'layer = 0' "${@:2}" '[registry]' 'insecure = true'; }

start_registry
golden_device "$T/golden"
push gzip "$oci_gzip" "$data/layer.tar.gz" >/dev/null
remote gzip "tarindex = \"$data/layer.erofs\"" "zinfo = \"$data/layer.zinfo\""
reads_as "$T/golden" 'tarindex and zinfo of format 2 over a tar.gz'
remote gzip "tarindex = \"$data/layer.erofs\"" "zinfo = \"$data/layer.v1.zinfo\""
reads_as "$T/golden" 'tarindex and zinfo of format 1 over a tar.gz'

digest=$(push members "$oci_gzip" "$data/members.tar.gz")
remote members "tarindex = \"$data/layer.erofs\"" "zinfo = \"$data/members.zinfo\""
reads_as "$T/golden" 'tarindex and zinfo over a tar.gz of many members'
sed -i "s|^layer = .*|layer = \"$digest\"|" "$T/$name.toml"
reads_as "$T/golden" 'the same layer, chosen by digest'

push plain "$oci_tar" "$T/golden.tar" >/dev/null
remote plain "tarindex = \"$data/layer.erofs\""
reads_as "$T/golden" 'tarindex over a plain tar'

mkdir "$T/tree"
head -c 3000000 /dev/urandom >"$T/tree/random"
seq 500000 >"$T/tree/numbers"
ln -s numbers "$T/tree/link"
mkfs.erofs --quiet "$T/image" "$T/tree"
gzip -c "$T/image" >"$T/image.gz"
python3 "$here/make_zinfo.py" "$T/image.gz" "$T/image.zinfo"
push image-gzip "$oci_gzip" "$T/image.gz" >/dev/null
remote image-gzip "zinfo = \"$T/image.zinfo\""
reads_as "$T/image" 'zinfo over a gzip of an EROFS image'

push image "$oci_erofs" "$T/image" >/dev/null
remote image
reads_as "$T/image" 'an EROFS blob as it is'
define "file:$T/image"
reads_as "$T/image" 'a local EROFS image'

# The kernel's eyes, where it has them: the same through a mount.
if ((EUID == 0)) && [[ -w /dev/fuse ]] && grep -qw erofs /proc/filesystems; then
  for image in "$registry/image:1.0" "file:$T/image"; do
    define "$image" 'transport = "fuse"' '[registry]' 'insecure = true'
    start_run
    diff -r --no-dereference "$T/tree" "$T/mnt" || die "$image mounted differs"
    stop_run
  done
  ok 'mounted: the same trees'
  remote gzip 'transport = "fuse"'
  start_run
  # Its whiteouts, which the golden tarindex shows as files, have done their work.
  ! find "$T/mnt" -name '.wh.*' | grep . || die 'whiteouts are shown'
  (cd "$T/mnt" && grep -v '/\.wh\.' "$data/layer.sha256" | sha256sum --quiet --check) || die 'content differs'
  stop_run
  ok 'one layer without index files: an index is built'
fi
