#!/usr/bin/env bash
# Installs what is missing, builds, and passes every test. Works from a clean clone on Debian 12, as root or with sudo.
# usage: tests/run.sh [release|asan|tsan]...     default: release asan
set -euo pipefail
cd "$(dirname "$0")/.."
packaging/bootstrap.sh

presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(release asan)
# Compiler cache hits survive another checkout path and precompiled headers.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}
for preset in "${presets[@]}"; do
  echo "== $preset: build"
  started=$SECONDS
  cmake --preset "$preset" >/dev/null
  # Unit tests run under the sanitizers; of release only the binary is built, and driven from outside, and the
  # simulation, whose million steps want speed.
  targets=(all)
  only=()
  if [ "$preset" = release ]; then
    targets=(consign simulation simulation_broken)
    only=(-E '^unit\.')
  fi
  cmake --build --preset "$preset" --target "${targets[@]}"
  echo "== $preset: built in $((SECONDS - started)) s"
  ctest --test-dir "build/$preset" --output-on-failure --no-tests=error "${only[@]}"
done
