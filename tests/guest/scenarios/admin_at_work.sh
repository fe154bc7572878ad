#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What administrators do to the service while a mount is being read: no read fails, and each thing does what its man page says.
# kernel: any
# needs: project
# timeout: 600
. /host/tests/guest/lib.sh

# build_package VERSION: the staged tree with the package's scripts
build_package() {
  local tree=/var/tmp/package-$1
  mkdir -p "$tree/DEBIAN"
  cp -a /host/stage/. "$tree"
  cp /host/results/scripts/* "$tree/DEBIAN"
  chmod 755 "$tree"/DEBIAN/*
  printf '%s\n' 'Package: erofs-oci' "Version: $1" 'Architecture: amd64' 'Maintainer: nobody <nobody@localhost>' \
    'Description: the staged tree' >"$tree/DEBIAN/control"
  check dpkg-deb --build -Znone --root-owner-group "$tree" "/var/tmp/erofs-oci_$1.deb" >/dev/null
  rm -r "$tree"
}
served_by_new() { daemon_is_new "$1" && is_listed tools; }
all_units=(erofs-ocid.service erofs-ocid.socket erofs-oci-detach.service erofs-oci-reattach.service
  erofs-oci-reattach.path erofs-oci@tools.service
  srv-auto.mount srv-auto.automount)

use_daemon
define tools
define_local auto 'automount = true' 'boot = "required"'
check systemctl daemon-reload
said=$(systemd-analyze verify --man=no --generators=yes "${all_units[@]}" 2>&1) || true
[[ -z $(grep -E 'erofs|srv-' <<<"$said") ]] || die "systemd-analyze verify: $said"
systemd-analyze security --threshold=20 erofs-ocid.service >/run/security || die "$(tail -n 1 /run/security)"
tail -n 1 /run/security
ok 'systemd-analyze verify and security'

build_package 1.0
build_package 1.1
check dpkg --install /var/tmp/erofs-oci_1.0.deb >/dev/null
start tools
start_reader /srv/tools

pid=$(daemon_pid)
check dpkg --install /var/tmp/erofs-oci_1.1.deb >/dev/null
[[ $(daemon_pid) != "$pid" ]] || die 'the old daemon runs on after the upgrade'
reader_goes_on 60
is_listed tools || die 'status does not name the mount after the upgrade'
ok 'the package is upgraded'

check systemctl daemon-reload
check systemctl daemon-reexec
check systemctl isolate guest.target
[[ $(state_of tools) == active ]] || die "the mount is $(state_of tools) after isolate"
reader_goes_on 60
ok 'daemon-reload, daemon-reexec, isolate'

check systemctl restart erofs-ocid.socket
reader_goes_on 60
is_listed tools || die 'status does not name the mount after the restart of the socket'
check systemctl stop erofs-ocid.socket
check systemctl start erofs-ocid.socket
reader_goes_on 60 # nobody has called: what reattaches is started with the socket
is_listed tools || die 'status does not name the mount after the start of the socket'
systemctl kill --signal KILL erofs-ocid.socket || true # it has no process
rm /run/erofs-oci/control
reader_goes_on 60
check systemctl restart erofs-ocid.socket
is_listed tools || die 'status does not name the mount: the socket was removed and restarted'
ok 'stop, start, kill and loss of the socket'

pid=$(daemon_pid)
check systemctl stop erofs-ocid.service
sleep 2
check systemctl start erofs-ocid.service
reader_goes_on 60
is_listed tools || die 'status does not name the mount after a stop and a start'
ok 'stop and start of the daemon'

# As the daemon asks where a connection is lost, which takes a kernel that closes it.
ask_for_reattachment() { setpriv --reuid=erofs-oci --regid=erofs-oci --clear-groups bash -c ': >>/run/erofs-ocid/reattach'; }
reattachments() { journalctl --unit erofs-oci-reattach --output cat | grep -c '^Finished' || true; }
wait_until 20 systemctl is-active --quiet erofs-oci-reattach.path
before=$(reattachments)
ask_for_reattachment
reattached_again() { (($(reattachments) > before)); }
wait_until 20 reattached_again
[[ ! -e /run/erofs-ocid/reattach ]] || die 'the request is there after the service'
ok 'erofs-oci-reattach.service is started when the daemon asks for it'

# It is busy behind its pass, and asked again.
mkdir -p /run/systemd/system/erofs-oci-reattach.service.d
printf '%s\n' '[Service]' 'ExecStartPost=/bin/sleep 3' >/run/systemd/system/erofs-oci-reattach.service.d/test.conf
systemctl daemon-reload
before=$(reattachments)
ask_for_reattachment
is_asked() { [[ -e /run/erofs-ocid/reattach ]]; }
is_busy() { [[ $(systemctl show --property SubState --value erofs-oci-reattach.service) == start-post ]]; }
wait_until 20 is_busy
! is_asked || die 'the request is there behind the pass'
ask_for_reattachment
reattached_twice() { (($(reattachments) == before + 2)) && ! is_asked; }
wait_until 20 reattached_twice
rm -r /run/systemd/system/erofs-oci-reattach.service.d
systemctl daemon-reload
sleep 3
reattached_twice || die "started $(($(reattachments) - before)) times for two requests"
ok 'what the daemon asks for while the service runs is not forgotten'

sed -i '1s|.*|image = "registry.invalid/none:1"|' /etc/erofs-oci/tools.toml
check systemctl daemon-reload
check systemctl restart erofs-ocid
reader_goes_on 60
check erofs-oci mount tools
rm /etc/erofs-oci/tools.toml
check systemctl daemon-reload
check systemctl restart erofs-ocid
kill -KILL "$(daemon_pid)"
reader_goes_on 60
ok 'the definition is edited and deleted'

# What is in use keeps the package, whole and at work; what is not is unmounted with it.
stop_reader
sleep infinity <"$(find /srv/tools -type f | head -n 1)" &
user=$!
check systemctl start srv-auto.automount
said=$(check_fails dpkg --remove erofs-oci 2>&1) || die "the package was removed under a user: $said"
[[ $said == *'tools is still mounted'* ]] || die "dpkg --remove says: $said"
[[ $(dpkg-query --show --showformat='${db:Status-Status}' erofs-oci) == installed ]] || die 'the package is half removed'
drop_caches
golden_check /srv/tools
is_listed tools || die 'status does not name the mount after a removal that was refused'
check systemctl is-active --quiet erofs-ocid.socket srv-auto.automount
ok 'the package stays while a mount is in use'

kill "$user"
check ls /srv/auto >/dev/null # mounts it
said=$(dpkg --remove erofs-oci 2>&1) || die "dpkg --remove: $said"
left=$(systemctl list-units --all --plain --no-legend 'erofs*' 'srv-*' | grep -v ' masked *inactive ' || true)
[[ -z $left ]] || die "units after the removal: $left"
[[ -z $(findmnt --noheadings /srv/tools /srv/auto) ]] || die "mounts after the removal: $(findmnt --list)"
[[ -d /var/lib/erofs-oci && -d /var/cache/erofs-oci ]] || die 'the removal took what a purge is to take'
check dpkg --purge erofs-oci
[[ ! -e /var/lib/erofs-oci && ! -e /var/cache/erofs-oci ]] || die 'a purge leaves the state'
ok 'the package is removed, and purged'
leftovers
no_io_errors
