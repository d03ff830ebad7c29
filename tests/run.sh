#!/usr/bin/env bash
# Installs what is missing, builds, and passes every test. Works from a clean clone on Debian 12, as root or with sudo.
# usage: tests/run.sh [release|asan|tsan]...     default: release asan
set -euo pipefail
cd "$(dirname "$0")/.."
packaging/bootstrap.sh

presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(release asan)
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}
for preset in "${presets[@]}"; do
  echo "== $preset: build"
  started=$SECONDS
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset"
  echo "== $preset: built in $((SECONDS - started)) s"
  ctest --test-dir "build/$preset" --output-on-failure --no-tests=error
done
