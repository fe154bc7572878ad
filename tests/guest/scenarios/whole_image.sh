#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A definition of two lines mounts a whole image, its layers merged as umoci does, over nbd; it outlives the daemon and a reboot.
# needs: project
# timeout: 600
. /host/tests/guest/lib.sh

image=/host/results/image
equals_umoci() {
  drop_caches
  python3 /host/tests/e2e/list_tree.py /srv/whole >/run/listed
  diff "$image/expected" /run/listed >/run/diff ||
    die "$(grep -c '^[<>]' /run/diff) lines differ: $(head -n 6 /run/diff | paste -sd ' ' | cut -c1-400)"
}
counter() { erofs-oci status whole --json | jq ".mounts[0].counters.$1"; }
indexes() { find /var/lib/erofs-oci/index -type f | wc -l; }

case $BOOT in
  1)
    use_daemon
    start_registry
    push_layout team/image image "$image/layout"
    ok "pushed in $SECONDS s"
    mkdir -p /etc/erofs-oci /srv/whole
    printf '%s\n' "image = \"$registry/team/image:image\"" 'mountpoint = "/srv/whole"' '[registry]' 'insecure = true' \
      >/etc/erofs-oci/whole.toml
    SECONDS=0
    start whole
    journalctl --unit "$(unit whole)" --grep 'building the index' >/dev/null || die 'the first start did not say that it builds'
    ok "first start: built its index of $(du -h /var/lib/erofs-oci/index/* | cut -f1) in $SECONDS s"
    SECONDS=0
    equals_umoci
    ok "all $(wc -l <"$image/expected") entries as by umoci, in $SECONDS s"
    [[ $(chroot /srv/whole /usr/bin/python3 -c 'import os, sys; print(sys.prefix, sum(range(10)))') == '/usr 45' ]] ||
      die 'python3 of the image does not run'
    ok 'its python3 runs'

    start_reader /srv/whole "$image/sums"
    for round in {1..3}; do
      old=$(daemon_pid)
      check systemctl restart erofs-ocid
      [[ $(daemon_pid) != "$old" ]] || die 'the restart left the old daemon running'
      reader_goes_on 60
      ok "restart $round of the daemon under a reader"
    done
    stop_reader
    no_io_errors
    check systemctl enable --quiet test-registry "$(unit whole)"
    reboot_guest ;;
  2)
    wait_until 90 systemctl is-active "$(unit whole)"
    [[ $(transport_of whole) == nbd ]] || die "it is mounted over $(transport_of whole)"
    ! journalctl --boot --unit "$(unit whole)" --grep 'building the index' >/dev/null || die 'it builds again after a reboot'
    (($(indexes) == 1)) || die "$(indexes) files where the index lies"
    stop whole
    check erofs-oci cache rm --all
    start whole
    ls -lR /srv/whole >/dev/null
    [[ $(udevadm info --query=property /dev/nbd0) != *ID_FS_* ]] || die 'udev has probed the device'
    # A byte, to see that the registry gives ranges.
    (($(counter fetched_bytes) <= 5)) || die "$(counter fetched_bytes) bytes were fetched to list the tree"
    ok "mounted at boot; the tree listed with $(counter fetched_bytes) of $(counter blob_bytes) bytes fetched"
    check bash -c "cd /srv/whole && sha256sum --quiet --check $image/sums"
    ok "$(wc -l <"$image/sums") files have their SHA-256"
    stop whole
    leftovers
    no_io_errors ;;
esac
