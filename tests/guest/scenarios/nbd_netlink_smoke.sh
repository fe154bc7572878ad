#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guest's NBD driver without the project: connect over netlink, mount EROFS, read, unmount, disconnect.
. /host/tests/guest/lib.sh

nbd_file() { python3 /host/tests/guest/tools/nbd_file.py "$@"; }

modprobe nbd
golden_image /tmp/golden.erofs
for round in 1 2 3; do
  number=$(nbd_file connect /tmp/golden.erofs)
  device=/dev/nbd$number
  wait_until 5 test -s "/sys/block/nbd$number/pid"
  [[ $(cat "/sys/block/nbd$number/backend") == guest:smoke ]] || die 'the device does not show its backend'
  [[ $(blockdev --getro "$device") == 1 ]] || die "$device can be written"
  wait_until 5 mount -t erofs "$device" /mnt
  golden_check /mnt
  umount /mnt
  nbd_file disconnect "$number"
  wait_until 5 test ! -e "/sys/block/nbd$number/pid"
  ok "round $round on $device"
done
no_io_errors
leftovers
