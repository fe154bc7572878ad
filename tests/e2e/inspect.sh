#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `inspect` says what an image is made of, wherever it lies, in 80 columns and as JSON; what cannot be asked is refused in one
# sentence.
. "$(dirname "$0")/lib.sh"
export HOME=$T

# look SOURCE [OPTION…]: leaves the table in $T/table and the JSON in $T/json
look() {
  timeout 60 "$BIN/erofs-oci" inspect "$@" >"$T/table" 2>"$T/inspect.err" || die "inspect $*: exit code $?"
  timeout 60 "$BIN/erofs-oci" inspect "$@" --json >"$T/json" 2>"$T/inspect.err" || die "inspect $* --json: exit code $?"
  check_sanitizers
  awk -v image="$1" 'length > 80 && !index($0, image) { exit 1 }' "$T/table" || die "$1: wider than 80: $(<"$T/table")"
}
is() { [[ $(jq -r "$1" "$T/json") == "$2" ]] || die "$1 is $(jq -c "$1" "$T/json"), not $2"; }
shows() { grep -qE "$1" "$T/table" || die "the table has no /$1/: $(<"$T/table")"; }

start_registry
digest=$(push team/tools "$oci_gzip" "$data/layer.tar.gz" --platform linux/arm64)
look "$registry/team/tools:1.0" --insecure --platform linux/arm64
is .platform linux/arm64
is .media_type application/vnd.oci.image.manifest.v1+json
is '.layers | length' 1
is '.layers[0].digest' "$digest"
is '.layers[0].size_bytes' "$(stat -c %s "$data/layer.tar.gz")"
is '.layers[0].access' with_index
is '.digest' "$(curl -s "http://$registry/v2/team/tools/manifests/1.0" -H 'Accept: application/vnd.oci.image.index.v1+json' |
  jq -r '.manifests[0].digest')"
shows "^0  ${digest:7:12}  1\.7 MiB  oci\.image\.layer\.v1\.tar\+gzip  with an index$"
ok 'an image of a registry'

define "$registry/team/tools:1.0" 'platform = "linux/arm64"' '[registry]' 'insecure = true'
look "$T/$name.toml"
is '.layers[0].digest' "$digest"
ok 'the image of a definition'

skopeo --override-arch arm64 copy --quiet --src-tls-verify=false "docker://$registry/team/tools:1.0" "oci:$T/layout:1.0"
look "oci:$T/layout:1.0"
is '.layers[0].digest' "$digest"
tar -C "$T/layout" -cf "$T/layout.tar" .
look "oci-archive:$T/layout.tar"
is '.layers[0].digest' "$digest"
ok 'a layout in a folder, and in a tar file'

golden_tar "$T/golden.tar"
zstd --quiet "$T/golden.tar" -o "$T/one.zst"
look "tar:$T/golden.tar"; is '.layers[0].access' anywhere
look "tar:$data/layer.tar.gz"; is '.layers[0].access' with_index
look "tar:$T/one.zst"; is '.layers[0].access' at_frames; is '.indexes | length' 0
look "file:$data/layer.erofs"; is '.layers[0].access' as_it_is
ok 'local files'

push erofs "$oci_erofs" "$data/layer.erofs" >/dev/null
look "$registry/erofs:1.0" --insecure --platform linux/amd64; is '.layers[0].access' as_it_is; shows 'erofs\.layer\.v1 +as it is'
push odd text/plain "$data/layer.list" >/dev/null
look "$registry/odd:1.0" --insecure --platform linux/amd64; is '.layers[0].access' no; shows 'text/plain +no'
ok 'other types of layers'

# The daemon of one command has no store of its own but the service's, which tests leave alone: unit tests see the indexes.

# refused WORDS-PATTERN CASE ARGUMENT…
refused() {
  local code=0
  timeout 60 "$BIN/erofs-oci" inspect "${@:3}" >"$T/table" 2>"$T/inspect.err" || code=$?
  ((code == 1)) || die "$2: exit code $code: $(<"$T/inspect.err")"
  (($(wc -l <"$T/inspect.err") == 1)) || die "$2: more than one line: $(<"$T/inspect.err")"
  grep -qiE "$1" "$T/inspect.err" || die "$2: it does not say /$1/: $(<"$T/inspect.err")"
  [[ ! -s $T/table ]] || die "$2: it said $(<"$T/table")"
  check_sanitizers
  ok "$2: $(cut -c1-160 "$T/inspect.err")"
}
refused 'no manifest for linux/s390x.*linux/arm64' 'wrong platform' "$registry/team/tools:1.0" --insecure --platform linux/s390x
refused 'not|unknown' 'an image that is not there' "$registry/team/nothing:1.0" --insecure
refused 'resolve.*nothing\.invalid|nothing\.invalid.*resolve' 'unknown host' nothing.invalid/tools:1.0
refused 'No such file' 'a file that is not there' "tar:$T/nothing.tar"
refused "$PWD/layout: No such file" 'a folder that is not there' oci:layout
refused 'must be a reference' 'no reference' /nowhere
refused 'no platforms' 'a platform of a tar file' "tar:$T/golden.tar" --platform linux/amd64
refused 'os/architecture' 'a platform that is none' "$registry/team/tools:1.0" --platform linux
stop_registry
htpasswd -Bbn user secret >"$T/htpasswd"
start_registry "auth: {htpasswd: {realm: test, path: $T/htpasswd}}"
refused 'asks for a user name and password' 'denied' "$registry/team/tools:1.0" --insecure
! pgrep --full --list-full "erofs-ocid --listen .*$T" || die 'a daemon was left'
