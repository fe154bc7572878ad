#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Mounts at boot: registry up, late, gone, silent; by boot, automount, fstab and enable; logins wait for none of them that is not
# required, and come as soon as without them. A shutdown with a mount in use ends in seconds.
# kernel: any
# needs: project
# timeout: 600
. /host/tests/guest/lib.sh

sums=/var/golden.sums # of the merged image: whiteouts are applied

# define_image NAME PORT LINE…: the whole image from a registry on loopback
define_image() {
  local name=$1 port=$2
  shift 2
  mkdir -p /etc/erofs-oci "/srv/$name"
  printf '%s\n' "image = \"127.0.0.1:$port/team/tools:1.0\"" 'platform = "linux/amd64"' "mountpoint = \"/srv/$name\"" "$@" \
    '[registry]' 'insecure = true' >"/etc/erofs-oci/$name.toml"
}
reads_well() { (cd "$1" && check sha256sum --quiet --check "$sums"); }

# when UNIT: the microsecond of this boot at which it became active
when() { systemctl show --property ActiveEnterTimestampMonotonic --value "$1"; }
# logins: how many microseconds after systemd itself began they were let in
logins() { echo $(($(when systemd-user-sessions.service) - $(systemctl show --property UserspaceTimestampMonotonic --value))); }
tell_boot() { # WHAT
  awk -v u="$(logins)" -v m="$(when multi-user.target)" -v what="$1" \
    'BEGIN {printf "%s: logins %.1f s after systemd, multi-user %.1f s after the kernel\n", what, u / 1e6, m / 1e6}'
}
# logins_wait_for_none: they came at most 5 s later than with what boot requires alone. Where even that takes more than 6 s, as beside
# builds, the machine is busy, and the mounts, which compete with logins for the guest's one processor, may double the time, too: 9.5 s
# and 17.7 s were seen. The silent registry would take 20 s more.
logins_wait_for_none() {
  local alone
  alone=$(cat /var/logins_alone)
  (($(logins) <= (alone > 6000000 ? 2 * alone : alone) + 5000000)) ||
    die "logins took $(logins) us, $alone us without the mounts that nobody waits for"
}

make_late_registry() {
  sed 's/:5000/:5001/' /etc/test-registry.yml >/etc/late-registry.yml
  cat >/etc/systemd/system/late-registry.service <<END
[Service]
ExecStart=/bin/sh -c 'sleep 20; exec docker-registry serve /etc/late-registry.yml'
[Install]
WantedBy=multi-user.target
END
}

# Takes connections as long as its queue has room, then leaves them without an answer, and never says a word.
make_silent_registry() {
  cat >/etc/systemd/system/silent-registry.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/usr/bin/python3 -c 'import socket, time; s = socket.socket(); s.bind(("127.0.0.1", 5003)); s.listen(1); time.sleep(1e6)'
[Install]
WantedBy=sysinit.target
END
}

# A reader that no unit's stop ends, as what was started in a rescue shell: it goes with the last processes.
start_stubborn_reader() {
  # shellcheck disable=SC2016
  systemd-run --quiet --unit stubborn --property DefaultDependencies=no --property KillMode=none bash -c \
    'cd /srv/up; while :; do cat $(find . -type f) >/dev/null; echo 3 >/proc/sys/vm/drop_caches; done'
  sleep 1
}

case $BOOT in
  1)
    use_daemon
    start_registry
    push_layer team/tools 1.0 "$data/layer.tar.gz"
    grep -v '/\.wh\.' "$data/layer.sha256" >"$sums"
    make_late_registry
    make_silent_registry
    systemctl daemon-reload
    check systemctl enable --quiet test-registry late-registry silent-registry
    # Read once as a whole; then its registry is gone for good.
    define_image cached 5000
    start cached
    reads_well /srv/cached
    wait_until 20 bash -c 'erofs-oci status cached --json | jq --exit-status ".mounts[0].cache.state == \"complete\""'
    stop cached
    systemctl stop erofs-ocid.socket erofs-ocid.service
    define_local needed 'boot = "required"'
    check systemctl daemon-reload
    leftovers
    reboot_guest ;;
  2)
    # What the next boot is compared with: all that it has but the mounts that nobody waits for.
    [[ $(state_of needed) == active ]] || die "what boot requires is $(state_of needed)"
    tell_boot 'with what boot requires alone'
    logins >/var/logins_alone

    define_image cached 5000 'boot = "nofail"'
    define_image up 5000 'boot = "nofail"'
    define_image late 5001 'boot = "nofail"'
    define_image hole 5003 'boot = "nofail"' 'start_timeout = "30s"'
    define_local auto 'automount = true' 'boot = "nofail"'
    define_local enabled
    define_local table
    define_local broken 'boot = "sometimes"'
    echo 'table /srv/table erofs-oci _netdev,nofail,noexec 0 0' >>/etc/fstab
    check systemctl daemon-reload
    check systemctl enable --quiet "$(unit enabled)"
    stop needed
    leftovers
    reboot_guest ;;
  3)
    tell_boot 'with black-holed, late and other mounts'
    users=$(when systemd-user-sessions.service)
    logins_wait_for_none
    # The job for the silent one may still be there; that for the late one is.
    [[ $(state_of late) == activating ]] || die "the late one is $(state_of late), while its registry sleeps"
    ok 'logins wait for no mount that is not required'
    [[ $(state_of needed) == active ]] || die "what boot requires is $(state_of needed)"
    (($(when "$(unit needed)") <= $(when remote-fs.target) && $(when remote-fs.target) <= users)) ||
      die 'logins did not wait for what boot requires'
    golden_check /srv/needed
    wait_until 60 systemctl is-active "$(unit enabled)"
    wait_until 60 systemctl is-active "$(unit up)"
    reads_well /srv/up
    golden_check /srv/enabled
    ok 'boot = "required", boot = "nofail" and systemctl enable'
    (($(dmesg | grep -c 'erofs-oci-generator.*broken.toml:3') > 0)) || die 'nothing is said of the broken definition'
    rm /etc/erofs-oci/broken.toml
    ok 'a broken definition is told and harms nobody'

    [[ $(findmnt --noheadings --output FSTYPE --mountpoint /srv/auto) == autofs ]] || die '/srv/auto does not wait'
    golden_check /srv/auto
    check systemctl --quiet is-active srv-auto.mount
    check umount /srv/auto
    golden_check /srv/auto
    check systemctl start "$(unit auto)"
    check systemctl stop srv-auto.automount
    check systemctl stop srv-auto.mount
    wait_until 10 bash -c '[[ $(systemctl is-active erofs-oci@auto) == inactive ]]'
    ok 'automount: at the first access, and again after an umount'

    findmnt --mountpoint /srv/table
    [[ $(findmnt --noheadings --output OPTIONS --mountpoint /srv/table) == *noexec* ]] || die 'noexec of fstab is not there'
    check umount /srv/table
    check_fails findmnt --mountpoint /srv/table
    check mount --all
    check mount --all
    check umount /srv/table
    check mount /srv/table
    golden_check /srv/table
    check_fails mount -t erofs-oci table /srv/up
    ok 'fstab, mount(8) -a and umount(8)'

    check umount /srv/enabled
    wait_until 10 bash -c '[[ $(systemctl is-active erofs-oci@enabled) == inactive ]]'
    start enabled
    ok 'an umount by hand ends the unit'

    wait_until 60 systemctl is-active "$(unit late)"
    reads_well /srv/late
    ok 'the late registry'
    wait_until 60 systemctl is-failed "$(unit hole)"
    systemctl status --no-pager "$(unit hole)" | grep 'Status:' || true
    ok 'the silent registry'
    stop up
    stop late
    start up

    # From now on there is no registry at all.
    check systemctl disable --quiet test-registry late-registry silent-registry
    start_stubborn_reader
    date +%s >/var/shutdown_began
    reboot_guest ;;
  4)
    took=$((EPOCHSECONDS - $(cut -d. -f1 /proc/uptime) - $(cat /var/shutdown_began)))
    ((took < 30)) || die "the shutdown took $took s"
    ok "shut down with a mount in use in $took s"
    tell_boot 'without any registry'
    logins_wait_for_none
    wait_until 90 systemctl is-active "$(unit cached)"
    reads_well /srv/cached
    ok 'the registry gone, the cache complete'
    wait_until 60 systemctl is-active "$(unit enabled)"
    wait_until 120 bash -c '! systemctl list-jobs | grep -q erofs-oci'
    for name in cached up late hole needed enabled; do
      echo "$name: $(state_of $name)"
      ! systemctl --quiet is-active "$(unit $name)" || stop "$name"
    done
    check umount /srv/table
    leftovers
    no_io_errors ;;
esac
