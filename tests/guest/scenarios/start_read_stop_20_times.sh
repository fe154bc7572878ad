#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 20 times: start a mount of a registry's layer by its tarindex, read every file, stop; nothing stays, nothing grows.
# needs: project
# timeout: 600
. /host/tests/guest/lib.sh

needs_small_blocks
use_daemon
define tools
for round in {1..20}; do
  start tools
  golden_check /srv/tools
  stop tools
  leftovers
  case $round in
    2) descriptors=$(daemon_descriptors) stored=$(stored_descriptors) ;;
    20)
      (($(daemon_descriptors) <= descriptors)) || die "the daemon had $descriptors descriptors, it has $(daemon_descriptors)"
      [[ $(stored_descriptors) == "$stored" ]] || die "$stored descriptors were stored, now $(stored_descriptors)" ;;
  esac
  ok "round $round"
done
no_io_errors
