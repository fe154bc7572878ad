#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A definition of two lines mounts the whole image: its five layers, of four formats, merged as umoci unpacks them, entry by
# entry. The index is built at the first start and used from then on, also while the registry is away. What cannot be is
# refused; a start that is killed leaves nothing half-written.
if [[ -z ${ISOLATED-} ]] && unshare --mount true 2>/dev/null; then ISOLATED=1 exec unshare --mount "$0"; fi
. "$(dirname "$0")/lib.sh"
needs_fuse
[[ -n ${ISOLATED-} ]] || skip 'needs a mount namespace of its own' # the store lies where the service's would
for tool in umoci zstd getcap; do command -v "$tool" >/dev/null || skip "needs $tool"; done

# The service's store, owned by the user that the daemon runs as. Who is killed leaves a folder in /run: ours goes with us.
for folder in /run /var/lib; do mount -t tmpfs -o mode=755 none "$folder"; done
store=/var/lib/erofs-oci
install -d -o "$(id -u erofs-oci 2>/dev/null || id -u nobody)" "$store"

# --- the image, and what umoci makes of it ---

start_registry
"$here/machine_tar" "$T/base.tar"
python3 "$here/make_image.py" "$T/base.tar" "$T/layout"
for tag in image lying; do
  python3 "$here/push_layout.py" "$T/layout" "$tag" "$registry" "team/$tag" >/dev/null
done
manifest_type=application/vnd.oci.image.manifest.v1+json
stored=$(curl -fsS -H "Accept: $manifest_type" "http://$registry/v2/team/image/manifests/image" | jq "[.layers[].size] | add")
python3 "$here/umoci_tree.py" "$T/layout" "$T/bundle" >"$T/expected"
ok "an image of $((stored >> 20)) MiB with $(wc -l <"$T/expected") entries; umoci unpacked it"

# whole TAG [LINE…]: two lines, and how this registry is talked to
whole() { define "$registry/team/$1:$1" "${@:2}" '[registry]' 'insecure = true'; }
said_building() { grep -q 'building the index' "$T/run.err"; }
fetched() { "$BIN/erofs-oci" status "$name" --json | jq '.mounts[0].counters.fetched_bytes'; }
indexes() { find "$store/index" -type f | wc -l; }
equals_umoci() {
  python3 "$here/list_tree.py" "$T/mnt" >"$T/listed"
  diff "$T/expected" "$T/listed" >"$T/diff" || die "$(grep -c '^[<>]' "$T/diff") lines differ: $(head -n 8 "$T/diff" | cut -c1-400)"
}

# --- three starts ---

whole image
start_run
said_building || die "the first start did not say that it builds: $(<"$T/run.err")"
(($(fetched) < 200000)) || die "$(fetched) bytes were fetched of a mount that nobody read yet"
equals_umoci
ok 'first start: every entry as by umoci: type, mode, owner, links, size, device, time, target, attributes, SHA-256'
[[ $(getcap "$T/mnt/odd/xattrs/capable") == *cap_net_bind_service*ep* ]] || die 'a file capability is lost'
[[ $(chroot "$T/mnt" /usr/bin/python3 -c 'import sys; print(sys.prefix, sum(range(10)))') == '/usr 45' ]] ||
  die 'python3 of the image does not run'
ok 'python3 runs from it'
stop_run
(($(indexes) == 1)) || die "the store has $(indexes) index files: $(ls "$store/index")"

began=${EPOCHREALTIME/./}
start_run
took=$(((${EPOCHREALTIME/./} - began) / 1000))
! said_building || die 'the second start builds again'
ls -lR "$T/mnt" >/dev/null
(($(fetched) * 10 < stored)) || die "the second start fetched $(fetched) of $stored bytes to list the tree"
ok "second start: $took ms, the tree listed with $(fetched) bytes fetched of $stored"
equals_umoci
stop_run

# A mount goes on with what is in memory; what is not is an error after the deadline, and never wrong data.
whole image '[io]' 'deadline = "1s"'
start_run
in_memory=$T/mnt/odd/size-1048576
sum=$(sha256sum <"$in_memory")
stop_registry
python3 -c 'import os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)' "$in_memory"
[[ $(sha256sum <"$in_memory") == "$sum" ]] || die 'what the daemon has in memory reads differently without the registry'
fails_with_eio() { ! cat "$1" >/dev/null 2>"$T/cat.out" && grep -q 'Input/output error' "$T/cat.out"; }
fails_with_eio "$T/mnt/usr/bin/python3" || die "a read without the registry: $(<"$T/cat.out")"
stop_run
start_run
! said_building || die 'the third start builds'
(($(grep -c 'the registry is away' "$T/run.err") == 1)) || die "the third start said: $(<"$T/run.err")"
grep -q 'the registry is away.*going on with sha256:.*which the name led to on 20' "$T/run.err" || die "it said $(<"$T/run.err")"
tree() { (cd "$1" && find . -printf '%P|%y|%m|%U|%G|%n|%l\n' | sort); }
cmp <(tree "$T/mnt") <(tree "$T/bundle/rootfs") ||
  die 'the tree differs without the registry'
fails_with_eio "$T/mnt/usr/bin/python3" || die "a read without the registry: $(<"$T/cat.out")"
ok "third start, registry stopped: $(grep -o 'the registry is away.*' "$T/run.err" | cut -c1-60)…; the tree is there, data is not"
stop_run
start_registry

# --- refusals ---

# refused PATTERN CASE
refused() {
  local code=0
  timeout 100 "$BIN/erofs-oci" run "$T/$name.toml" >"$T/run.out" 2>"$T/run.err" || code=$?
  ((code == 1)) || die "$2: exit code $code: $(<"$T/run.err")"
  tail -n 1 "$T/run.err" | grep -qE "$1" || die "$2: it does not say /$1/: $(<"$T/run.err")"
  check_sanitizers
  nothing_left
  ok "$2: $(tail -n 1 "$T/run.err" | cut -c1-220)"
}
whole lying
refused 'layer sha256:.*uncompressed digest is sha256:.* where the image says sha256:' 'a layer whose diff_id lies'
(($(indexes) == 1)) || die "a refused image left $(ls "$store/index")"
rm "$store"/index/*
whole image 'index = "require"'
refused 'index = "require".*"erofs-oci index '"$name"'"' 'no index where one is required'

# --- killed while it builds ---

whole image
for delay in 0 0.1 0.2 0.4 0.8 1.2; do
  rm -f "$T/run.out" "$T/run.err" "$store"/index/*
  "$BIN/erofs-oci" run "$T/$name.toml" >"$T/run.out" 2>"$T/run.err" &
  run_pid=$!
  pids+=("$run_pid")
  wait_until 30 said_building
  daemon_pid=$(daemon_of "$run_pid")
  sleep "$delay"
  kill -KILL "$run_pid" "$daemon_pid"
  { wait "$run_pid" || true; } 2>/dev/null
  timeout 20 tail --pid="$daemon_pid" -f /dev/null
  for file in "$store"/index/*; do
    [[ ! -e $file || $file == *.index ]] || die "killed $delay s into building, it left $file"
  done
done
rm -f "$store"/index/*
start_run
said_building || die 'it did not build after it was killed'
equals_umoci
stop_run
(($(indexes) == 1)) || die "the store has $(ls "$store/index")"
ok 'killed while it builds: nothing is left in the store, and the next start builds'
