#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit tests of devices of the kernel's own nbd driver, which are skipped on a machine that has none: here all of them run.
# needs: project
# timeout: 300
. /host/tests/guest/lib.sh

check modprobe nbd
# What somebody has open is still connected after a disconnection, and udev looks at each new device.
check systemctl stop systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd.service
code=0
/host/results/image/test_nbd --gtest_filter='NbdKernelTest.*' --gtest_output=json:/run/told.json || code=$?
# count RESULT: of so many tests
count() { jq --arg result "$1" '[.testsuites[].testsuite[] | select(.result == $result)] | length' /run/told.json; }
((code == 0)) || die "test_nbd ended with $code: $(jq -r '.testsuites[].testsuite[] | select(.failures) | .name' /run/told.json | paste -sd ' ')"
(($(count COMPLETED) > 0 && $(count COMPLETED) == $(jq .tests /run/told.json))) ||
  die "$(count COMPLETED) tests ran, $(count SKIPPED) were skipped, of $(jq .tests /run/told.json)"
ok "$(count COMPLETED) tests ran, none was skipped"
leftovers
