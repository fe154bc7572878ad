#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every command and option that a program's own help shows is in its man page, and the page names no other.
. "$(dirname "$0")/lib.sh"

options_in() { grep -oE -- '--[a-z][a-z-]+' | LC_ALL=C sort -u; }
commands_of() { "$BIN/erofs-oci" "$@" --help | sed -nE '/^[A-Z]*SUBCOMMANDS:|^Subcommands:/,$s/^  ([a-z]+) .*/\1/p'; }
# Options of other programs, in examples and in passing.
own() { grep -vE 'systemctl|docker ' "$1"; }

commands_of | LC_ALL=C sort >"$T/commands"
[[ -s $T/commands ]] || die 'the help lists no command'
{
  "$BIN/erofs-oci" --help
  while read -r command; do
    "$BIN/erofs-oci" "$command" --help
    for below in $(commands_of "$command"); do "$BIN/erofs-oci" "$command" "$below" --help; done
  done <"$T/commands"
} | options_in >"$T/options"
page=$top/packaging/man/erofs-oci.1.scd
diff "$T/commands" <(sed -n '/^# COMMANDS/,/^# OPTIONS/s/^\*\([a-z]*\)[* ].*/\1/p' "$page" | LC_ALL=C sort -u) ||
  die 'commands (<) differ from erofs-oci(1) (>)'
diff "$T/options" <(own "$page" | options_in) || die 'options (<) differ from erofs-oci(1) (>)'
for below in $(commands_of cache); do grep -q "^\*cache $below\*" "$page" || die "cache $below is not in erofs-oci(1)"; done
ok "erofs-oci(1): $(wc -l <"$T/commands") commands, $(wc -l <"$T/options") options"

diff <("$BIN/erofs-ocid" --help | options_in) <(own "$top/packaging/man/erofs-ocid.8.scd" | options_in) ||
  die 'options (<) differ from erofs-ocid(8) (>)'
ok 'erofs-ocid(8): the same options'
