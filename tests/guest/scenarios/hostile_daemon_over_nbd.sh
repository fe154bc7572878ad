#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whatever a daemon answers, over nbd the client ends the device that it made, and touches no device of somebody else.
# kernel: any
# needs: project
# timeout: 300
. /host/tests/guest/lib.sh

nbd_file() { python3 /host/tests/guest/tools/nbd_file.py "$@"; }

modprobe nbd
golden_image /run/golden.erofs
foreign=$(nbd_file connect /run/golden.erofs)
wait_until 5 test -s "/sys/block/nbd$foreign/pid"
wait_until 5 mount -t erofs "/dev/nbd$foreign" /mnt

mkdir /run/bin
ln -s "$(command -v erofs-oci)" "$(systemctl show --property ExecStart erofs-ocid.service | grep -o "/[^ ]*/erofs-ocid" | head -n 1)" /run/bin
check systemctl stop erofs-ocid.socket erofs-ocid.service
check env BIN=/run/bin TRANSPORT=nbd PYTHONPATH=/host/results/image bash /host/tests/e2e/hostile_daemon_gets_nothing.sh

drop_caches
golden_check /mnt
umount /mnt
nbd_file disconnect "$foreign"
wait_until 5 test ! -e "/sys/block/nbd$foreign/pid"
leftovers
