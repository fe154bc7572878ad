#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What cannot be mounted is refused: exit 1, one sentence that names the reason, nothing left behind.
. "$(dirname "$0")/lib.sh"
needs_fuse
export HOME=$T

within=() # what `run` is called by
# refused WORDS-PATTERN CASE: `run` of the definition
refused() {
  local code=0 last
  timeout 100 "${within[@]}" "$BIN/erofs-oci" run "$T/$name.toml" >"$T/run.out" 2>"$T/run.err" || code=$?
  last=$(tail -n 1 "$T/run.err")
  ((code == 1)) || die "$2: exit code $code: $last"
  grep -qiE "$1" <<<"$last" || die "$2: it does not say /$1/: $last"
  [[ ! -s $T/run.out ]] || die "$2: it said $(<"$T/run.out")"
  (($(grep -cF -- "${last#erofs-oci: "$name": }" "$T/run.err") == 1)) || die "$2: said more than once: $(<"$T/run.err")"
  check_sanitizers
  nothing_left
  ok "$2: $last"
}
# change KEY LINE: another line for a key of the definition
change() { sed -i "s|^$1 = .*|$2|" "$T/$name.toml"; }

start_registry
push team/tools "$oci_gzip" "$data/layer.tar.gz" >/dev/null
fresh() { define_golden 'transport = "fuse"' 'start_timeout = "60s"'; }

fresh; change image "image = \"$registry/team/nothing:1.0\""
refused 'team/nothing.*(not|404|unknown)|(not|404|unknown).*team/nothing' 'image that is not there'
fresh; change layer 'layer = 7'
refused 'layer' 'layer number that is not there'
fresh; change layer "layer = \"sha256:$(printf '0%.0s' {1..64})\""
refused 'layer|sha256' 'layer digest that is not there'
fresh; change platform 'platform = "linux/s390x"'
refused 's390x' 'wrong platform'
push team/single "$oci_gzip" "$data/layer.tar.gz" --single >/dev/null
fresh; change platform 'platform = "linux/s390x"'; change image "image = \"$registry/team/single:1.0\""
refused 'team/single.*linux/amd64.*s390x' 'wrong platform of an image that has only one'

head -c 40000 "$data/layer.zinfo" >"$T/short.zinfo"
fresh; change zinfo "zinfo = \"$T/short.zinfo\""
refused 'short\.zinfo.*(truncated|cut|bytes)' 'truncated zinfo'
head -c 14336 /dev/urandom >"$T/noise.erofs"
fresh; change tarindex "tarindex = \"$T/noise.erofs\""
refused 'noise\.erofs.*EROFS' 'tarindex that is not EROFS'
fresh; change tarindex "tarindex = \"$T/missing.erofs\""
refused 'missing\.erofs.*No such file' 'tarindex that is not there'

mkdir "$T/other"
for i in $(seq 40); do head -c "$((i * 4000))" /dev/zero | tr '\0' "$(printf '\\%03o' "$((i + 40))")" >"$T/other/file$i"; done
tar -C "$T/other" -cf "$T/other.tar" --sort=name .
truncate -s 20M "$T/other.tar"
push team/other "$oci_tar" "$T/other.tar" >/dev/null
define "$registry/team/other:1.0" 'platform = "linux/amd64"' 'layer = 0' "tarindex = \"$data/layer.erofs\"" \
  'transport = "fuse"' '[registry]' 'insecure = true'
refused 'layer\.erofs' 'tarindex of another layer'

define "$registry/team/tools:1.0" 'platform = "linux/amd64"' 'index = "require"' 'transport = "fuse"' '[registry]' 'insecure = true'
refused 'no index.*erofs-oci index' 'image without an index where one is required'

fresh; change mountpoint "mountpoint = \"$T/nowhere\""
refused 'nowhere.*(No such|not exist|missing|not there)|nowhere' 'mountpoint that is not there'
fresh
mount -t tmpfs none "$T/mnt"
refused_busy() {
  local code=0
  timeout 60 "$BIN/erofs-oci" run "$T/$name.toml" >"$T/run.out" 2>"$T/run.err" || code=$?
  umount "$T/mnt"
  ((code == 1)) || die "busy mountpoint: exit code $code"
  grep -qiE "mnt.*(busy|already|mount)" <(tail -n 1 "$T/run.err") || die "busy mountpoint: $(<"$T/run.err")"
  nothing_left
  ok "busy mountpoint: $(tail -n 1 "$T/run.err")"
}
refused_busy
define_golden 'mountpiont = "/x"'
refused "mountpiont.*mountpoint" 'key that is not known'

if unshare --mount true 2>/dev/null; then # not in a chroot
  within=(unshare --mount bash -c 'mount --bind /dev/null /dev/fuse && exec "$@"' -)
  fresh
  refused '/dev/fuse is not the fuse device.*mknod' 'no fuse where fuse is asked for'
  if [[ ! -d /sys/module/nbd ]] && ! modprobe --quiet --dry-run nbd 2>/dev/null; then
    change transport 'transport = "auto"'
    refused 'nbd.*fuse|fuse.*nbd' 'neither nbd nor fuse'
  fi
fi
within=()

stop_registry
fresh; change start_timeout 'start_timeout = "4s"'
refused "${registry#*:}|connect|refused|answer" 'registry that is stopped'
