#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The registry's password is changed under a mount: systemctl reload has the mount go on with the new one; the state that a later
# daemon goes by has the new policy.
# kernel: any
# needs: project
# timeout: 300
. /host/tests/guest/lib.sh

needs_small_blocks
use_daemon
start_registry reader first
registry_login=reader:first
push_layer team/tools 1.0 "$data/layer.tar.gz"
define_tarindex tools
printf '%s\n' 'credential = "/etc/erofs-oci/tools.login"' '[cache]' 'enabled = false' >>/etc/erofs-oci/tools.toml
write_login /etc/erofs-oci/tools.login reader first
start tools
drop_caches
golden_check /srv/tools

start_registry reader second
check systemctl restart erofs-ocid # forgets what memory holds, and keeps the old password
wait_until 30 is_listed tools
drop_caches
golden_with() { (cd /srv/tools && sha256sum --quiet --check "$data/layer.sha256") >/dev/null 2>&1; }
check_fails golden_with
ok 'the old password is refused'

write_login /etc/erofs-oci/tools.login reader second
printf '%s\n' '[io]' 'deadline = "17s"' >>/etc/erofs-oci/tools.toml
check systemctl reload "$(unit tools)"
drop_caches
golden_check /srv/tools
ok 'reload has it go on with the new one'
check systemctl restart erofs-ocid
drop_caches
golden_check /srv/tools
ok 'and so has the next daemon'
jq -e '.definition.io.deadline == "17s"' /run/erofs-oci/mounts/tools.json >/dev/null ||
  die "the state says $(jq -c .definition.io /run/erofs-oci/mounts/tools.json)"
! grep -rl second /run/erofs-oci /var/lib/erofs-oci || die 'the password is on disk'
stop tools
leftovers
