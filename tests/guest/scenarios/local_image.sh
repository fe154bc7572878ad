#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A local EROFS image of 4 KiB blocks, which every kernel mounts: start, read, start again, stop, three times over.
# needs: project
. /host/tests/guest/lib.sh

use_daemon
define_local tools
for round in 1 2 3; do
  start tools
  golden_check /srv/tools
  grep -qw ro <<<"$(findmnt --noheadings --output OPTIONS --mountpoint /srv/tools | tr , ' ')" || die '/srv/tools can be written'
  is_listed tools || die 'status does not name the mount'
  check erofs-oci mount tools # what a start does once more: it is there already
  (($(findmnt --noheadings --mountpoint /srv/tools | wc -l) == 1)) || die 'a second start mounted it twice'
  stop tools
  leftovers
  ok "round $round"
done
no_io_errors
