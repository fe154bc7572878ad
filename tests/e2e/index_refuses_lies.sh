#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A layer that is not what its image says, of a registry and of a layout, has no index: exit 1, one sentence that names it, no file.
. "$(dirname "$0")/lib.sh"
export HOME=$T

start_registry
blob_of() { echo "$T/registry/docker/registry/v2/blobs/sha256/${1:7:2}/${1:7}/data"; } # DIGEST: where the registry keeps it

# refused PATTERN CASE SOURCE [OPTION…]
refused() {
  local code=0 last
  timeout 60 "$BIN/erofs-oci" index "$3" -o "$T/out.index" "${@:4}" >"$T/index.out" 2>"$T/index.err" || code=$?
  last=$(tail -n 1 "$T/index.err")
  ((code == 1)) || die "$2: exit code $code: $last"
  grep -qE "$1" <<<"$last" || die "$2: it does not say /$1/: $last"
  ! compgen -G "$T/out.*" >/dev/null || die "$2: it left $(compgen -G "$T/out.*")"
  check_sanitizers
  ok "$2: $(cut -c1-220 <<<"$last")"
}
from_registry=(--insecure --platform=linux/amd64)
accepted() { "$BIN/erofs-oci" index "$1" -o "$T/good.index" "${@:2}" >"$T/index.out" 2>"$T/index.err" || die "$1: $(tail -n 1 "$T/index.err")"; }

for kind in gzip tar; do
  file=$data/layer.tar.gz type=$oci_gzip
  [[ $kind == gzip ]] || { golden_tar "$T/layer.tar"; file=$T/layer.tar type=$oci_tar; }
  image=$registry/team/$kind:1.0
  digest=$(push "team/$kind" "$type" "$file")
  accepted "$image" "${from_registry[@]}"
  stored=$(blob_of "$digest")
  cp "$stored" "$T/blob"
  size=$(stat -c %s "$stored")

  printf '\377' | dd of="$stored" bs=1 seek=$((size / 2)) conv=notrunc status=none
  refused "sha256:${digest:7:12}.*(digest is sha256|inflate|checksum|corrupt)" "$kind: a byte of the blob is another" "$image" "${from_registry[@]}"
  cp "$T/blob" "$stored"
  truncate -s $((size / 2)) "$stored"
  refused "sha256:${digest:7:12}" "$kind: the registry has half of the blob" "$image" "${from_registry[@]}"
  cp "$T/blob" "$stored"
  accepted "$image" "${from_registry[@]}"
done

# Digest and size are right, and the blob ends in the middle all the same.
head -c 1000000 "$data/layer.tar.gz" >"$T/half.tar.gz"
refused 'half\.tar\.gz.*cut short' 'a gzip file that is cut short' "$T/half.tar.gz"
head -c 5000000 "$T/layer.tar" >"$T/half.tar"
refused 'half\.tar.*(ends|cut short)' 'a tar file that is cut short' "$T/half.tar"
head -c 1000 /dev/urandom | cat "$data/layer.tar.gz" - >"$T/more.tar.gz"
refused 'more\.tar\.gz' 'noise behind a gzip file' "$T/more.tar.gz"

# A layout whose configuration names another diff_id.
skopeo --override-arch amd64 copy --quiet --src-tls-verify=false "docker://$registry/team/gzip:1.0" "oci:$T/layout:1.0"
accepted "oci:$T/layout:1.0" --platform=linux/amd64
python3 - "$T/layout" <<'PY'
import hashlib, json, sys
def load(path): return json.load(open(f"{sys.argv[1]}/{path}"))
def put(value):
    data = json.dumps(value).encode()
    name = hashlib.sha256(data).hexdigest()
    open(f"{sys.argv[1]}/blobs/sha256/{name}", "wb").write(data)
    return {"digest": "sha256:" + name, "size": len(data)}
index = load("index.json")
manifest = load("blobs/sha256/" + index["manifests"][0]["digest"][7:])
config = load("blobs/sha256/" + manifest["config"]["digest"][7:])
config["rootfs"]["diff_ids"] = ["sha256:" + "1" * 64]
manifest["config"].update(put(config))
index["manifests"][0].update(put(manifest))
json.dump(index, open(f"{sys.argv[1]}/index.json", "w"))
PY
refused 'uncompressed digest is sha256:.* where the image says sha256:1111' 'a diff_id that is not that of the layer' "oci:$T/layout:1.0" \
  --platform=linux/amd64
