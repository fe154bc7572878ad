#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon restarted, and killed, while it builds an index: the start that waits for it succeeds, others' reads go on, and the worker
# that builds yields to them. What no definition names any more is collected then, and nothing else.
# kernel: any
# needs: project
# timeout: 300
. /host/tests/guest/lib.sh

use_daemon
start_registry
slow=127.0.0.1:5001
# A proxy that gives a build time to be interrupted.
cat >/run/nginx.conf <<END
pid /run/nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path /run/nginx-1; proxy_temp_path /run/nginx-2; fastcgi_temp_path /run/nginx-3;
  uwsgi_temp_path /run/nginx-4; scgi_temp_path /run/nginx-5;
  server { listen $slow; location / { proxy_pass http://$registry; proxy_set_header Host \$http_host; limit_rate 400k; } }
}
END
nginx -c /run/nginx.conf -e stderr

mkdir /run/tree
head -c 8000000 /dev/urandom >/run/tree/noise
seq 600000 >/run/tree/numbers
(cd /run/tree && sha256sum ./*) >/run/tree.sums
tar -C /run/tree -czf /run/layer.tar.gz --format=pax .
push_layer team/large 1.0 /run/layer.tar.gz
rm /run/tree/*
truncate -s 600M /run/tree/zeros # nothing to fetch, much to inflate
tar -C /run/tree -cf - . | gzip -1 >/run/layer.tar.gz
push_layer team/zeros 1.0 /run/layer.tar.gz
rm -r /run/tree /run/layer.tar.gz

define_local other
start other
start_reader /srv/other
mkdir -p /srv/large
define_large() { # REGISTRY/REPOSITORY
  printf '%s\n' "image = \"$1:1.0\"" 'platform = "linux/amd64"' 'mountpoint = "/srv/large"' '[registry]' 'insecure = true' \
    >/etc/erofs-oci/large.toml
}
worker() { pgrep --parent "$(daemon_pid)" --exact erofs-ocid; }
status_text() { systemctl show --property StatusText --value "$(unit large)"; }
is_building() { worker && [[ $(status_text) == 'building the index'* ]]; }
indexes() { find /var/lib/erofs-oci/index -type f | wc -l; }

# interrupted WORDS COMMAND…: a start that builds, and a daemon that goes away meanwhile
interrupted() {
  local old starting code=0
  define_large "$slow/team/large"
  systemctl start "$(unit large)" &
  starting=$!
  wait_until 60 is_building
  old=$(daemon_pid)
  sleep 3 # of about ten
  worker=$(worker)
  [[ $(cut -d' ' -f19 "/proc/$worker/stat") == 19 ]] || die "the worker's niceness is $(cut -d' ' -f19 "/proc/$worker/stat")"
  [[ $(ionice -p "$worker") == idle ]] || die "the worker's I/O class is $(ionice -p "$worker")"
  "${@:2}"
  wait_until 30 daemon_is_new "$old"
  [[ ! -e /proc/$worker ]] || die "the worker $worker outlives its daemon"
  (($(indexes) == 0)) || die 'a build that was interrupted left an index'
  kill -0 "$starting" || die 'the start ended with the daemon'
  wait_until 60 is_building
  reader_goes_on 60
  wait "$starting" || code=$?
  ((code == 0)) || die "$1: the start that waited ended with $code: $(systemctl status "$(unit large)" | tail -n 3)"
  [[ $(transport_of large) == nbd ]] || die "it is mounted over $(transport_of large)"
  (cd /srv/large && sha256sum --quiet --check /run/tree.sums) || die "$1: content differs"
  (($(indexes) == 1)) || die "$1: the store has $(indexes) indexes"
  ok "$1: the start waited, a new worker built the index; reads of another mount went on"
}
interrupted 'systemctl restart' systemctl restart erofs-ocid
stop large
rm /var/lib/erofs-oci/index/*
interrupted 'SIGKILL of the daemon' bash -c "kill -KILL $(daemon_pid)"
stop large
no_io_errors

# Without the proxy: the worker and the reader compete for the processor.
rounds() { wc -l </run/reader.rounds; }
rate_of() { # COMMAND…: rounds of the reader in 100 s, while it runs
  local began=${EPOCHREALTIME/./} before
  before=$(rounds)
  "$@"
  echo $((($(rounds) - before) * 100000000 / (${EPOCHREALTIME/./} - began)))
}
define_large "$registry/team/zeros"
idle=$(rate_of sleep 8)
busy=$(rate_of systemctl start "$(unit large)")
((busy * 10 >= idle * 6)) || die "a build slows another mount's reader down: $idle rounds in 100 s alone, $busy beside it"
ok "the reader: $idle rounds in 100 s without a build, $busy beside one"
stop_reader

# --- what nothing names is collected ---

rm /etc/erofs-oci/large.toml
erofs-oci cache gc >/run/gc
(($(indexes) == 1)) || die "$(indexes) indexes, not that of what is mounted alone: $(</run/gc)"
stop large
define_large "$registry/team/zeros"
erofs-oci cache gc >/run/gc
(($(indexes) == 1)) || die "the index of what is defined was collected: $(</run/gc)"
rm /etc/erofs-oci/large.toml
erofs-oci cache gc --dry-run >/run/gc
(($(indexes) == 1)) || die '--dry-run collects'
erofs-oci cache gc >/run/gc
(($(indexes) == 0)) || die "what nothing names is still there: $(</run/gc)"
[[ -z $(find /var/lib/erofs-oci/manifests /var/lib/erofs-oci/refs -type f) ]] || die 'a manifest or a ref is left'
ok "cache gc: $(tail -n 1 /run/gc)"
drop_caches
golden_check /srv/other
stop other
leftovers
