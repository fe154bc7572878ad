#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A sequential read of the whole device fetches every byte of the blob once: counted before the registry, at most 1.05 of it.
. "$(dirname "$0")/lib.sh"

start_registry
mkdir "$T/tree"
head -c 60000000 /dev/urandom >"$T/tree/random"
mkfs.erofs --quiet "$T/image" "$T/tree"
push team/tools "$oci_gzip" "$data/layer.tar.gz" >/dev/null
push team/image "$oci_erofs" "$T/image" >/dev/null
upstream=$registry
registry=127.0.0.1:$(free_port)
counting_proxy "$upstream" "$registry"

# reads_once BLOB-SIZE WORDS
reads_once() {
  : >"$T/nginx/access.log"
  start_export
  nbdcopy --connections=1 "$uri" null:
  stop_export
  # A line is written when its request is over; a gzip trailer need not be read.
  wait_until 10 sent_at_least "$(($1 - 8))"
  sent=$(sent_bytes)
  ((sent * 100 <= $1 * 105)) || die "$2: $sent bytes were fetched of a blob of $1"
  ok "$2: $sent bytes fetched of $1"
}
define_golden
reads_once "$(stat -c %s "$data/layer.tar.gz")" 'tar.gz by checkpoints'
define "$registry/team/image:1.0" 'platform = "linux/amd64"' 'layer = 0' '[registry]' 'insecure = true'
reads_once "$(stat -c %s "$T/image")" 'EROFS blob'
