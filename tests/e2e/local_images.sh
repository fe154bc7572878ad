#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Images outside a registry are mounted as they are: a layout in a folder, the same as a tar file, and a tar file by itself.
# A layout that is not what it says is refused in one sentence, and never leads out of its folder.
. "$(dirname "$0")/lib.sh"
needs_fuse

# entries DIR: as tests/data/layer.list has them; a directory's size is the filesystem's own
entries() { (cd "$1" && find . -printf '%P|%y|%m|%U|%G|%s|%n|%l|%T@\n') | comparable; }
comparable() { awk -F'|' -v OFS='|' '$2 == "d" { $6 = "-" } { print }' | LC_ALL=C sort; }
# Whiteouts are applied, and vanish.
grep -vF '/.wh.' "$data/layer.list" | comparable >"$T/golden.list"
grep -vF '/.wh.' "$data/layer.sha256" >"$T/golden.sha256"

# mounts_golden IMAGE [LINE…]
mounts_golden() {
  local out
  define "$1" 'transport = "fuse"' "${@:2}"
  start_run
  entries "$T/mnt" >"$T/entries"
  diff "$T/golden.list" "$T/entries" >"$T/diff" || die "$1: entries differ: $(head -n 6 "$T/diff")"
  out=$(cd "$T/mnt" && sha256sum --quiet --check "$T/golden.sha256" 2>&1) || die "$1: $(head -n 3 <<<"$out")"
  [[ $("$BIN/erofs-oci" status "$name" --json | jq -r '.mounts[0].integrity') == verified ]] ||
    die "$1: its integrity is not 'verified'"
  stop_run
  ok "$1 ${*:2}"
}

# --- what is mounted ---

start_registry
push team/tools "$oci_gzip" "$data/layer.tar.gz" >/dev/null
from=docker://$registry/team/tools:1.0
copy() { skopeo --override-arch amd64 copy --quiet --src-tls-verify=false "$@"; }
copy "$from" "oci:$T/layout:1.0"
mounts_golden "oci:$T/layout:1.0"
mounts_golden "oci:$T/layout" 'layer = 0'
copy --all "$from" "oci:$T/all:latest"
mounts_golden "oci:$T/all:latest" 'platform = "linux/amd64"'
copy "$from" "oci-archive:$T/image.tar:docker.io/team/tools:1.0"
mounts_golden "oci-archive:$T/image.tar:docker.io/team/tools:1.0"
mounts_golden "oci-archive:$T/image.tar"

golden_tar "$T/golden.tar"
if command -v umoci >/dev/null; then # not in every Debian
  umoci init --layout "$T/umoci"
  umoci new --image "$T/umoci:empty"
  umoci raw add-layer --image "$T/umoci:empty" --tag one "$T/golden.tar" >/dev/null
  mounts_golden "oci:$T/umoci:one"
fi

zstd --quiet "$T/golden.tar" -o "$T/golden.tar.zst"
mounts_golden "tar:$data/layer.tar.gz"
mounts_golden "tar:$T/golden.tar"
mounts_golden "tar:$T/golden.tar.zst"

# --- what is read: a changed file is an error, never other bytes ---

cp "$T/golden.tar" "$T/changing.tar"
define "tar:$T/changing.tar" 'transport = "fuse"'
start_run
offset=$(grep -abo "$(head -c 40 "$T/mnt/dir/big.txt" | head -n 1)" "$T/changing.tar" | head -n 1 | cut -d: -f1)
dd if=/dev/urandom of="$T/changing.tar" bs=1 seek="$((offset + 3000000))" count=100 conv=notrunc status=none
! cat "$T/mnt/dir/big.txt" >"$T/big.txt" 2>/dev/null || die 'a file that was changed is read without an error'
tar -xOf "$T/golden.tar" ./dir/big.txt >"$T/big.golden"
cmp -n "$(stat -c %s "$T/big.txt")" "$T/big.txt" "$T/big.golden" || die 'other bytes were read than the archive had'
stop_run
ok 'a tar file that is changed while it is mounted: an I/O error, no other bytes'

# --- what is refused ---

# refused WORDS-PATTERN CASE: `run` of the definition
refused() {
  local code=0 last
  timeout 60 "$BIN/erofs-oci" run "$T/$name.toml" >"$T/run.out" 2>"$T/run.err" || code=$?
  last=$(tail -n 1 "$T/run.err")
  ((code == 1)) || die "$2: exit code $code: $last"
  grep -qiE "$1" <<<"$last" || die "$2: it does not say /$1/: $last"
  (($(wc -l <"$T/run.err") <= 3)) || die "$2: it says more than it should: $(<"$T/run.err")"
  check_sanitizers
  nothing_left
  ok "$2: $(cut -c1-200 <<<"$last")"
}
# fresh [DIR]: a copy of a good layout to be spoilt, $blob and $manifest in it
fresh() {
  rm -rf "$T/bad"
  cp -r "${1:-$T/layout}" "$T/bad"
  manifest=blobs/sha256/$(jq -r '.manifests[0].digest' "$T/bad/index.json" | cut -d: -f2)
  blob=blobs/sha256/$(jq -r '.layers[0].digest' "$T/bad/$manifest" | cut -d: -f2)
  define "oci:$T/bad" 'transport = "fuse"'
}

fresh; mv "$T/bad/$blob" "$T/elsewhere"; ln -s "$T/elsewhere" "$T/bad/$blob"
refused "$blob.*symbolic link" 'a blob that is a symlink'
fresh; mv "$T/bad/blobs" "$T/bad/real"; ln -s real "$T/bad/blobs"
refused 'symbolic link' 'a folder of blobs that is a symlink'
fresh; rm "$T/bad/$blob"; mkfifo "$T/bad/$blob"
refused "$blob.*not a regular file" 'a blob that is a fifo'
fresh; rm "$T/bad/$blob"
refused "$blob.*No such file" 'a blob that is missing'
fresh; printf x >>"$T/bad/$blob"
refused "$blob.*bytes, the manifest says" 'a blob that is too long'
fresh; printf x | dd of="$T/bad/$blob" bs=1 seek=5000 conv=notrunc status=none
refused 'SHA-256|digest|gzip|corrupt|deflate' 'a blob that is another'
fresh; sed -i 's/"schemaVersion": *2/"schemaVersion": 3/' "$T/bad/$manifest"
refused "$manifest.*SHA-256" 'a manifest that is another'
fresh; sed -i 's|"digest":"sha256:[0-9a-f]*"|"digest":"sha256:../../../../../../etc/shadow"|' "$T/bad/index.json"
refused 'no SHA-256 digest' 'a digest that is a path'
fresh; truncate -s 100M "$T/bad/index.json"
refused 'index.json.*100(\.0)? MiB.*at most' 'an index.json of 100 MiB'
fresh; head -c 2000000 /dev/zero | tr '\0' '[' >"$T/bad/index.json"
refused 'index.json' 'an index.json of 2 million brackets'
fresh; rm "$T/bad/index.json"
refused 'index.json.*No such file' 'a folder without index.json'
fresh; sed -i 's|^image.*|image = "oci:'"$T"'/bad:2.0"|' "$T/$name.toml"
refused 'no tag 2\.0.*1\.0' 'a tag that is not there'
fresh; copy "$from" "oci:$T/bad:2.0"
refused 'several images.*1\.0.*2\.0' 'several tags and none chosen'
define "oci:$T/all" 'platform = "linux/s390x"' 'transport = "fuse"'
refused 'no manifest for linux/s390x.*linux/amd64' 'a platform that is not there'
python3 - "$T/layout" "$T/many" <<'PY'
import hashlib, json, os, shutil, sys
shutil.copytree(sys.argv[1], sys.argv[2])
def put(data):
    digest = hashlib.sha256(data).hexdigest()
    open(f"{sys.argv[2]}/blobs/sha256/{digest}", "wb").write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}
index = json.load(open(f"{sys.argv[2]}/index.json"))
manifest = json.load(open(f"{sys.argv[2]}/blobs/sha256/" + index["manifests"][0]["digest"][7:]))
manifest["layers"] = [{**put(b"%d" % i), "mediaType": "application/vnd.oci.image.layer.v1.tar"} for i in range(300)]
index["manifests"][0].update(put(json.dumps(manifest).encode()))
json.dump(index, open(f"{sys.argv[2]}/index.json", "w"))
PY
define "oci:$T/many" 'transport = "fuse"'
refused 'more than 200 files.*oci-archive' 'an image of 300 layers in a folder'

tar -C "$T/layout" -cf "$T/bad.tar" --exclude="$blob" .
define "oci-archive:$T/bad.tar" 'transport = "fuse"'
refused "bad\.tar.*no $blob|no $blob.*bad\.tar|has no $blob" 'an archive without a blob'
define "oci-archive:$T/golden.tar" 'transport = "fuse"'
refused 'golden\.tar.*no index\.json' 'an archive that is no layout'
head -c 3000000 /dev/urandom >"$T/noise"
define "oci-archive:$T/noise" 'transport = "fuse"'
refused 'noise.*is it a tar archive' 'an oci-archive: of noise'
define "tar:$T/noise" 'transport = "fuse"'
refused 'noise.*is it a tar archive' 'a tar: of noise'
: >"$T/empty"
define "tar:$T/empty" 'transport = "fuse"'
refused 'empty.*is empty' 'a tar: of nothing'
define "tar:$T/layout" 'transport = "fuse"'
refused 'layout.*not a regular file' 'a tar: of a folder'
define "oci:$T/golden.tar" 'transport = "fuse"'
refused 'golden.tar.*Not a directory' 'an oci: of a file'
