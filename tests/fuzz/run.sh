#!/usr/bin/env bash
# Builds the fuzz targets and runs them one after the other, from the corpus in tests/fuzz/corpus if there is one.
# New inputs go to build/fuzz/corpus, findings to build/fuzz/findings.
# usage: tests/fuzz/run.sh [SECONDS [TARGET…]]     default: 600 s for each target
set -euo pipefail
cd "$(dirname "$0")/../.."
packaging/bootstrap.sh build
seconds=${1:-600}
names=("${@:2}")
if [ ${#names[@]} -eq 0 ]; then
  for source in tests/fuzz/*_fuzz.cpp; do names+=("$(basename "$source" .cpp)"); done
fi
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target "${names[@]}"
mkdir -p build/fuzz/findings
for name in "${names[@]}"; do
  mkdir -p "build/fuzz/corpus/$name"
  corpora=("build/fuzz/corpus/$name")
  [ ! -d "tests/fuzz/corpus/$name" ] || corpora+=("tests/fuzz/corpus/$name")
  "build/fuzz/tests/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$name-" "${corpora[@]}" >"build/fuzz/$name.log" 2>&1 ||
    { tail -n 40 "build/fuzz/$name.log"; echo "fuzz $name: a finding, see build/fuzz/findings" >&2; exit 1; }
  echo "fuzz $name: seconds=$seconds executions=$(awk '/stat::number_of_executed_units/ {print $2}' "build/fuzz/$name.log")"
done
