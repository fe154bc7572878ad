#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A password that systemd passed to the mount's unit by LoadCredential= is found again by erofs-oci-reattach.service, which has no
# credentials, where nothing was stored for the next daemon.
# kernel: any
# needs: project
# timeout: 300
. /host/tests/guest/lib.sh

needs_small_blocks
use_daemon
start_registry reader secret
registry_login=reader:secret
push_layer team/tools 1.0 "$data/layer.tar.gz"

for how in named by_its_name; do
  credential=tools
  define_tarindex tools
  if [[ $how == named ]]; then
    credential=login
    echo 'credential = "login"' >>/etc/erofs-oci/tools.toml
  fi
  printf '%s\n' '[cache]' 'enabled = false' >>/etc/erofs-oci/tools.toml
  write_login /root/tools.login reader secret
  mkdir -p "/etc/systemd/system/$(unit tools).d"
  printf '%s\n' '[Service]' "LoadCredential=$credential:/root/tools.login" >"/etc/systemd/system/$(unit tools).d/login.conf"
  check systemctl daemon-reload
  start tools
  rm /root/tools.login
  drop_caches
  golden_check /srv/tools

  check systemctl stop erofs-ocid.service # which empties the store
  check systemctl start erofs-ocid.service
  drop_caches
  (cd /srv/tools && timeout 90 sha256sum --quiet --check "$data/layer.sha256") || die "$how: $(journalctl --unit erofs-oci-reattach --output cat | tail -n 1)"
  ! grep -r secret /run/erofs-oci /var/lib/erofs-oci || die 'the password is on disk'
  stop tools
  leftovers
  ok "$how"
done
