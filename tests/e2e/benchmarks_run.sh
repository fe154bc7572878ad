#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The benchmarks run, with little data, and read the right bytes; how fast they are is not asked.
. "$(dirname "$0")/lib.sh"
"$top/tests/bench/run" --smoke sequential random start_workload warm first_byte memory >"$T/table" 2>"$T/bench.err" ||
  die "the benchmarks failed: $(<"$T/table")"
(($(wc -l <"$T/table") >= 6)) || die "the table is short: $(<"$T/table")"
ok "the benchmarks run"
