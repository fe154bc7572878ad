#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# index writes over no file that it would hurt: not what it reads, no device, not its other output; and it leaves no zinfo that
# passes for the new tarindex's.
. "$(dirname "$0")/lib.sh"

cd "$T"
gzip -dc "$data/layer.tar.gz" >plain.tar
cp "$data/layer.tar.gz" layer.tar.gz
# refused WORDS ARGUMENT…: index fails with these words and touches nothing
refused() {
  local words=$1 before code=0
  shift
  before=$(find . -type f ! -name index.err -exec sha256sum {} + | sort)
  "$BIN/erofs-oci" index "$@" >index.out 2>index.err || code=$?
  ((code == 1)) || die "index $*: exit code $code"
  grep -q "$words" index.err || die "index $*: it does not say /$words/: $(<index.err)"
  rm -f index.out
  [[ $(find . -type f ! -name index.err -exec sha256sum {} + | sort) == "$before" ]] || die "index $*: files have changed"
  ok "$(tail -n 1 index.err)"
}
refused 'is what is to be indexed' layer.tar.gz -o layer.tar.gz
ln -s layer.tar.gz link
refused 'is what is to be indexed' layer.tar.gz -o link
mkfifo fifo
refused 'is no regular file' layer.tar.gz -o fifo
[[ -p fifo ]] || die 'the FIFO is gone'
refused 'two files' layer.tar.gz --format=tarindex -o one --zinfo ./one
refused 'are for --format=tarindex' layer.tar.gz -o one --whiteouts keep
refused 'nowhere' layer.tar.gz -o nowhere/one

echo stale >x.zinfo
"$BIN/erofs-oci" index plain.tar --format=tarindex -o x.erofs >index.out 2>index.err
grep -q 'no zinfo.*x.zinfo is of something else' index.err || die "a stale zinfo was not told: $(<index.err)"
[[ $(<x.zinfo) == stale ]] || die 'the stale zinfo was changed'
ok 'a zinfo of something else is told'
"$BIN/erofs-oci" index plain.tar --format=tarindex -o y.erofs >index.out 2>index.err
! grep zinfo index.err || die 'a warning without a reason'
ok 'nothing is said where there is none'
