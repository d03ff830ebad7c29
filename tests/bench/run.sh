#!/usr/bin/env bash
# The one way to measure: builds release, runs the named benches (all without a name), prints one last line for each:
#   bench NAME: key=value key=value …
# Ratios are taken side by side in one run; figures are medians of at least 5 rounds.
# usage: tests/bench/run.sh [NAME…]
set -euo pipefail
cd "$(dirname "$0")/../.."
packaging/bootstrap.sh
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(footprint dispatch polls pack copy registry)
# Whom dispatch is measured against. The bench starts them itself.
[[ " ${names[*]} " != *" dispatch "* ]] || packaging/bootstrap.sh dispatch
cmake --preset release >/dev/null
cmake --build --preset release --target consign consign_bench
# A parked poll is a descriptor on each side.
ulimit -n "$(ulimit -Hn)"
for name in "${names[@]}"; do
  build/release/tests/consign_bench "$name" build/release/consign
done
