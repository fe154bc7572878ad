#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What can be wrong at a start: each fails with one clear sentence in `systemctl status`, and leaves nothing behind.
# kernel: any
# needs: project
# timeout: 600
. /host/tests/guest/lib.sh

# fails_saying PATTERN: erofs-oci@tools does not start, and says why
fails_saying() {
  local before said status
  journalctl --sync
  before=$(journalctl --quiet --lines 1 --show-cursor | sed -n 's/^-- cursor: //p')
  check_fails systemctl start "$(unit tools)"
  [[ $(state_of tools) == failed ]] || die "the unit is $(state_of tools), not failed"
  journalctl --sync
  # By no field: of a process that has ended at once the journal may not know the unit, and journalctl skips the first
  # match after a cursor.
  said=$(journalctl --quiet --output short --after-cursor "$before" | sed -n 's/^.* erofs-oci\[[0-9]*\]: \(erofs-oci: \)/\1/p')
  [[ $said && $said != *$'\n'* ]] || die "one sentence was due, not: $said"
  grep -qiE "$1" <<<"$said" || die "expected /$1/, read: $said"
  ! grep -qE '(.{25,}).*\1|tools: tools:' <<<"$said" || die "it says a thing twice: $said"
  status=$(systemctl status --no-pager --full "$(unit tools)" || true)
  [[ $status == *"Status: \"$said\""* ]] || die "systemctl status does not show: $said"
  [[ $status != *not-the-password* ]] || die 'the password is in the log'
  systemctl reset-failed "$(unit tools)"
  leftovers
  ok "$said"
}

use_daemon
start_registry
push_layer team/tools 1.0 "$data/layer.tar.gz"

define_tarindex tools 'start_timeout = "5s"'
stop_registry
fails_saying "$registry.*(connect|refused)|(connect|refused).*$registry"
check systemctl start test-registry
wait_until 30 registry_answers

define_tarindex tools
set_key tools image "\"$registry/team/tools:9.9\""
fails_saying 'team/tools:9\.9'

define_tarindex tools
set_key tools layer 7
fails_saying 'layer'

push_layer team/holed 1.0 "$data/layer.tar.gz"
registry_curl -o /dev/null -X DELETE "http://$registry/v2/team/holed/blobs/$(digest_of "$data/layer.tar.gz")"
define_tarindex tools
set_key tools image "\"$registry/team/holed:1.0\""
fails_saying 'layer|sha256:'

define_tarindex tools
set_key tools platform '"linux/arm64"'
fails_saying 'linux/arm64'

define_tarindex tools
truncate -s 40000 /var/lib/erofs-oci/tools.zinfo
fails_saying 'zinfo'

start_registry someone secret
define_tarindex tools
fails_saying 'credential|password|denied|unauthori'
echo 'credential = "/etc/erofs-oci/login.json"' >>/etc/erofs-oci/tools.toml
write_login /etc/erofs-oci/login.json someone not-the-password
fails_saying 'credential|password|denied|unauthori'
start_registry

# These two are found where a mount would work otherwise.
define tools
rmdir /srv/tools
fails_saying '/srv/tools'
mkdir /srv/tools
mount -t tmpfs tmpfs /srv/tools
fails_saying '/srv/tools'
umount /srv/tools

start tools
golden_check /srv/tools
stop tools
leftovers
no_io_errors
