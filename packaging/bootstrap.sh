#!/usr/bin/env bash
# Installs what is needed to build, test and try consign on Debian 12. Quiet when nothing is missing.
# usage: packaging/bootstrap.sh [build|test|dispatch]
#   build: the toolchain and libraries; test (default): also what tests drive; dispatch: whom that bench measures against
set -euo pipefail

build_packages=(
  clang-19 lld-19 llvm-19 libc++-19-dev libc++abi-19-dev libclang-rt-19-dev
  cmake ninja-build ccache git ca-certificates
  libboost1.81-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev
  libsqlite3-dev libssl-dev libzstd-dev catch2
)
# nginx: the quickstart's example app; the others: clients and servers that the tests drive.
test_packages=(nginx-light curl openssl python3 python3-jsonschema sqlite3 skopeo zstd tar procps
  docker-registry umoci buildah podman apache2-utils)

case ${1:-test} in
build) packages=("${build_packages[@]}") ;;
test)
  packages=("${build_packages[@]}" "${test_packages[@]}")
  # Of AWS's SDK for JavaScript, which tests/interop checks signatures with. Another node on the PATH does as well.
  { command -v node && command -v npm; } >/dev/null || packages+=(nodejs npm)
  ;;
dispatch) packages=(postgresql-15 libpq-dev beanstalkd redis-server) ;;
*) echo "usage: packaging/bootstrap.sh [build|test|dispatch]" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "bootstrap: need root or sudo to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "bootstrap: installing ${missing[*]}" >&2
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
trap 'rm -f "$log"' EXIT
# Services of the packages must not start: only their programs are wanted. Under systemd it takes a policy.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
if [ ! -e "$policy" ]; then
  trap 'rm -f "$log"; "${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi
if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
       apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "bootstrap: apt-get failed; the lines above say why" >&2
  exit 1
fi
