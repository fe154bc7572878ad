#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Beside another mount.erofs, both over nbd, of one layer by the same tarindex and zinfo: seconds, requests and bytes of a start.
# needs: project
# timeout: 1200
. /host/tests/guest/lib.sh

needs_small_blocks
image=/host/results/image
front=127.0.0.1:5001

# What the registry is asked for, and how much of it is taken: a line a request.
start_front() {
  mkdir -p /run/front
  cat >/run/front.conf <<END
user root;
pid /run/front.pid;
error_log /run/front/error.log;
events {}
http {
  client_body_temp_path /run/front/1; proxy_temp_path /run/front/2; fastcgi_temp_path /run/front/3; uwsgi_temp_path /run/front/4;
  scgi_temp_path /run/front/5;
  log_format sizes '\$body_bytes_sent \$request_uri';
  access_log /run/front/access.log sizes;
  server { listen $front; location / { proxy_pass http://$registry; proxy_buffering off; proxy_set_header Host \$http_host; } }
}
END
  nginx -c /run/front.conf
}
blob_requests() { sleep 1; grep '/blobs/' /run/front/access.log || true; } # a line is written when its request ends
# told WHAT: seconds, and what has been asked for since the last time
told() {
  awk -v what="$1" -v seconds="$2" '{ bytes += $1 } END {
    printf "%-44s %8.3f s %6d requests %8.2f MiB\n", what, seconds, NR, bytes / 2^20 }' < <(blob_requests)
  : >/run/front/access.log
}
# measure WHO: mounted on /srv/tools; first byte, the start cold and warm, all files
measure() {
  local sum time size
  drop_caches
  read -r sum time size < <(python3 /host/tests/bench/read_files.py /srv/tools "$image/start.list")
  [[ $sum == "$(<"$image/start.sha256")" ]] || die "$1: the start's files have another SHA-256"
  told "$1: $(wc -l <"$image/start.list") files, $((size >> 10)) KiB, cold" "$time"
  drop_caches
  read -r sum time size < <(python3 /host/tests/bench/read_files.py /srv/tools "$image/start.list")
  [[ $sum == "$(<"$image/start.sha256")" ]] || die "$1: the start's files have another SHA-256, read again"
  told "$1: again, page cache dropped" "$time"
}

use_daemon
start_registry
start_front
push_layer team/rival 1.0 "$image/layer.tar.gz"
check erofs-oci index --insecure --format tarindex --layer 0 --output /var/lib/rival.erofs --zinfo /var/lib/rival.zinfo \
  "$registry/team/rival:1.0" >/run/index.out 2>&1
mkdir -p /etc/erofs-oci /srv/tools
printf '%s\n' "image = \"$front/team/rival:1.0\"" 'platform = "linux/amd64"' 'layer = 0' 'tarindex = "/var/lib/rival.erofs"' \
  'zinfo = "/var/lib/rival.zinfo"' 'mountpoint = "/srv/tools"' '[registry]' 'insecure = true' >/etc/erofs-oci/tools.toml
modprobe nbd
: >/run/front/access.log

seconds() { awk -v begin="$1" -v end="$2" 'BEGIN { print end - begin }'; }
begin=$EPOCHREALTIME
start tools
told 'erofs-oci: mount' "$(seconds "$begin" "$EPOCHREALTIME")"
measure erofs-oci
stop tools

begin=$EPOCHREALTIME
LD_LIBRARY_PATH=$image/lib "$image/mount.erofs" -t erofs.nbd \
  -o oci.layer=0,oci.platform=linux/amd64,oci.insecure,oci.tarindex=/var/lib/rival.erofs,oci.zinfo=/var/lib/rival.zinfo \
  "$front/team/rival:1.0" /srv/tools >/run/rival.out 2>&1 || die "mount.erofs: $(tail -n 3 /run/rival.out)"
told 'the other: mount' "$(seconds "$begin" "$EPOCHREALTIME")"
measure 'the other'
check umount /srv/tools
