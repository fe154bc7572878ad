#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guest itself: systemd is up, the kernel is the one asked for, its modules load, a registry serves in it.
. /host/tests/guest/lib.sh

state=$(systemctl is-system-running --wait || true)
[[ $state == running ]] || die "systemd is $state: $(systemctl list-units --failed --plain --no-legend | paste -sd ' ')"
[[ $(uname -r) == "$(cat /host/results/kernel)".* ]] || die "kernel $(uname -r) runs, not $(cat /host/results/kernel)"
ok "kernel $(uname -r), systemd $(systemctl --version | head -n 1), $(systemd-analyze time | head -n 1)"

for module in nbd erofs fuse loop dm-verity overlay; do
  check modprobe "$module"
done
for filesystem in erofs fuse overlay; do
  grep -qw "$filesystem" /proc/filesystems || die "$filesystem is not in /proc/filesystems"
done
[[ -e /dev/nbd0 && -c /dev/fuse && -c /dev/loop-control ]] || die 'a device node is missing'
ok 'modules'

start_registry someone secret
code=$(curl -s -o /dev/null -w '%{http_code}' "http://$registry/v2/")
[[ $code == 401 ]] || die "the registry with a password answers $code without one"
start_registry
push_layer team/tools 1.0 "$data/layer.tar.gz"
digest=$(digest_of "$data/layer.tar.gz")
registry_curl "http://$registry/v2/team/tools/blobs/$digest" | cmp - "$data/layer.tar.gz"
ok "registry: team/tools:1.0 has layer $digest"

golden_image /tmp/golden.erofs
mount -t erofs -o loop,ro /tmp/golden.erofs /mnt
golden_check /mnt
umount /mnt
if has_small_blocks; then
  gzip -dc "$data/layer.tar.gz" >/tmp/layer.tar
  device=$(losetup --find --show --read-only /tmp/layer.tar)
  mount -t erofs -o "device=$device,loop,ro" "$data/layer.erofs" /mnt
  golden_check /mnt
  umount /mnt
  losetup --detach "$device"
fi
leftovers
ok 'EROFS images'
