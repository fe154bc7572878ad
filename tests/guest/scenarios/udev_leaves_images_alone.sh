#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An image with a UUID that asks for a name, and a partition table before it with a swap space behind it: over nbd and over fuse neither
# gets a name in /dev/disk, and nobody probes them.
# needs: project
. /host/tests/guest/lib.sh

uuid=11111111-2222-3333-4444-555555555555
swap_uuid=66666666-7777-8888-9999-000000000000

# hostile_image FILE: EROFS leaves the first 1024 bytes free, and nothing keeps anybody from adding to the end
hostile_image() {
  local blocks # of 4 KiB, as the device's, in which its partition table counts
  unpack_golden
  mkfs.erofs --quiet -U "$uuid" "$1" "$golden_tree"
  blocks=$(($(stat -c %s "$1") / 4096 + 1))
  rm -f /run/swap
  (umask 077 && truncate -s 2M /run/swap)
  mkswap --uuid "$swap_uuid" /run/swap >/dev/null
  dd if=/run/swap of="$1" bs=4096 seek="$blocks" conv=notrunc status=none
  python3 - "$1" "$blocks" <<'END'
import struct, sys
with open(sys.argv[1], "r+b") as image:
    image.seek(440)
    image.write(struct.pack("<IH", 0xDEADBEEF, 0))  # of which udev makes by-partuuid/deadbeef-01
    image.write(struct.pack("<B3xB3xII", 0, 0x82, int(sys.argv[2]), 512) + bytes(48) + b"\x55\xaa")
END
}
# names: links of /dev/disk that lead to such a device, or bear what the image asks for; diskseq is the kernel's number
names() {
  find /dev/disk -path /dev/disk/by-diskseq -prune -o -type l -printf '%p -> %l\n' 2>/dev/null | grep -E "/(nbd|loop)[0-9p]+$|$uuid|$swap_uuid|deadbeef" || true
}
properties() { udevadm info --query=property "$1"; }
# check_left_alone DEVICE
check_left_alone() {
  [[ -z $(names) ]] || die "in /dev/disk: $(names | paste -sd ' ')"
  ! properties "$1" | grep -E '^ID_(FS|PART)' || die "$1 was probed"
  properties "$1" | grep -qx SYSTEMD_READY=0 || die "systemd is told of $1: $(properties "$1" | paste -sd ' ')"
}

mkdir -p /etc/erofs-oci /srv/tools
hostile_image /var/lib/hostile.erofs
# Whoever attaches it himself gets the names: the attack is one.
loop=$(losetup --find --show --partscan --sector-size 4096 /var/lib/hostile.erofs)
udevadm settle
[[ -n $(names) ]] || die 'the image asks for no name: nothing is shown'
ok "$(names | paste -sd ' ')"
losetup --detach "$loop"
udevadm settle
wait_until 10 no_loop_devices
[[ -z $(names) ]] || die "still there: $(names)"

use_daemon
for transport in nbd fuse; do
  printf '%s\n' 'image = "file:/var/lib/hostile.erofs"' 'mountpoint = "/srv/tools"' "transport = \"$transport\"" >/etc/erofs-oci/tools.toml
  start tools "$transport"
  device=$(findmnt --noheadings --types erofs --output SOURCE --mountpoint /srv/tools)
  udevadm settle
  echo "$device: $(cat "/sys/block/${device#/dev/}/loop/backing_file" "/sys/block/${device#/dev/}/backend" 2>/dev/null || true)"
  check_left_alone "$device"
  if [[ -b ${device}p1 ]]; then check_left_alone "${device}p1"; fi
  [[ $transport == fuse || -b ${device}p1 ]] || die 'the kernel finds no partition: nothing is shown of those'
  # As a package upgrade or an administrator has udev do.
  udevadm trigger --subsystem-match=block --action=change
  udevadm settle
  check_left_alone "$device"
  golden_check /srv/tools
  ok "over $transport"
  stop tools
done
leftovers
no_io_errors
