#!/usr/bin/env bash
# The main job on one machine: one IMS, one build agent and two install agents as separate processes, an app through its
# whole life. Installs what is missing, builds, runs, cleans up.
# usage: examples/quickstart.sh [--keep]     --keep leaves everything running, to look around
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

keep=false
case "${1:-}" in
  --keep) keep=true ;;
  "") ;;
  *) echo "usage: examples/quickstart.sh [--keep]" >&2; exit 2 ;;
esac

packaging/bootstrap.sh
if [ -z "${CONSIGN_BINARY:-}" ]; then
  cmake --preset release >/dev/null
  cmake --build --preset release --target consign
fi
consign=$(realpath "${CONSIGN_BINARY:-build/release/consign}")

work=$(mktemp -d "${TMPDIR:-/tmp}/consign-quickstart.XXXXXX")
pids=()
services=()
step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() { printf '\nquickstart: %s\n' "$*" >&2; exit 1; }

finish() {
  local status=$?
  if $keep && [ $status -eq 0 ]; then return; fi
  # Agents first: one that still runs would start its services again.
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || :; done
  wait 2>/dev/null || :
  remember_services
  for service in "${services[@]}"; do kill -TERM -- "-$service" 2>/dev/null || :; done
  if [ $status -eq 0 ]; then
    rm -rf "$work"
  else
    echo "quickstart: failed; the logs are in $work/*.log" >&2
  fi
}
trap finish EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
# wait_for PATTERN FILE PID WHAT: until the process says so in its log.
wait_for() {
  for _ in $(seq 200); do
    grep -q "$1" "$2" 2>/dev/null && return
    kill -0 "$3" 2>/dev/null || { cat "$2" >&2; fail "$4 ended"; }
    sleep 0.05
  done
  cat "$2" >&2
  fail "$4 did not come up"
}
page() { python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())' "http://127.0.0.1:$1/"; }
expect() { # PORT TEXT
  local text
  text=$(page "$1") || fail "no page on port $1"
  grep -q "$2" <<<"$text" || { echo "$text" >&2; fail "the page on port $1 does not say '$2'"; }
  echo "port $1: $(grep -E 'h1|Edition' <<<"$text" | sed 's/<[^>]*>//g' | paste -sd' ')"
}
remember_services() { # services outlive their agent by design: whoever cleans up has to know them
  services=()
  for file in "$work"/*/components/*/service.pid; do
    [ -f "$file" ] && services+=("$(awk '{print $3}' "$file")")
  done
  return 0
}

step "An app: pages, and nginx from a Debian package to serve them"
cp -r examples/shop "$work/shop"
"$work/shop/fetch-nginx.sh" "$work/shop/web"
ls "$work/shop/web/bin" "$work/shop/web/lib" | paste -sd' '

step "The vendor's side: an IMS and a build agent"
"$consign" ims --data "$work/ims" --listen "127.0.0.1:$(free_port)" >"$work/ims.log" 2>&1 &
pids+=($!)
wait_for 'serving url=' "$work/ims.log" $! "the IMS"
CONSIGN_URL=$(grep -o 'url=[^ ]*' "$work/ims.log" | head -n 1 | cut -d= -f2)
export CONSIGN_URL CONSIGN_TOKEN_FILE=$work/ims/owner.token
echo "the IMS serves $CONSIGN_URL"
token=$("$consign" -o json agent enroll | field token)
"$consign" build-agent --ims "$CONSIGN_URL" --enroll "$token" --data "$work/build-agent" >"$work/build-agent.log" 2>&1 &
pids+=($!)
wait_for 'build agent ready' "$work/build-agent.log" $! "the build agent"

step "Apply the app, build it, make release 1.0"
"$consign" app apply -f "$work/shop/consign.toml"
"$consign" build shop --source "$work/shop" --wait
"$consign" release create shop --version 1.0

step "Two customers: acme and globex, each with an install agent of its own"
acme_port=$(free_port)
globex_port=$(free_port)
"$consign" install create acme --app shop --input port="$acme_port" --input greeting="Welcome to Acme" >/dev/null
"$consign" install create globex --app shop --input port="$globex_port" --input greeting="Globex says hello" >/dev/null
for name in acme globex; do
  token=$("$consign" -o json install enroll $name | field token)
  "$consign" install-agent --ims "$CONSIGN_URL" --enroll "$token" --data "$work/$name" --registry-listen 127.0.0.1:0 \
    >"$work/$name.log" 2>&1 &
  pids+=($!)
  wait_for 'install agent ready' "$work/$name.log" $! "the agent of $name"
done
"$consign" agent list

step "Deploy 1.0 to both"
for name in acme globex; do "$consign" deploy $name --release 1.0 --wait; done
expect "$acme_port" "Welcome to Acme"
expect "$globex_port" "Globex says hello"

step "Ship 1.1: a new page"
sed -i 's/Edition: first/Edition: second/' "$work/shop/site/pages/index.html"
"$consign" build shop/site --source "$work/shop" --wait
"$consign" release create shop --version 1.1
for name in acme globex; do "$consign" deploy $name --release 1.1 --wait; done
expect "$acme_port" "Edition: second"
expect "$globex_port" "Edition: second"

step "Ship 1.2, whose health check fails: the agent rolls back by itself"
sed -i 's|return 200 "ok|return 503 "broken|' "$work/shop/web/conf/nginx.conf"
"$consign" build shop/web --source "$work/shop" --wait
"$consign" release create shop --version 1.2
status=0
"$consign" deploy acme --release 1.2 --wait || status=$?
[ $status -eq 7 ] || fail "the deploy of 1.2 ended with exit code $status, not 7"
"$consign" install show acme
"$consign" -o json install show acme | grep -q '"rolled_back"' || fail "acme does not say that it was rolled back"
expect "$acme_port" "Edition: second"

step "Tear globex down"
globex_services=$(awk '{print $3}' "$work"/globex/components/*/service.pid)
"$consign" teardown globex --wait
page "$globex_port" >/dev/null 2>&1 && fail "globex still serves its page"
for service in $globex_services; do kill -0 "$service" 2>/dev/null && fail "process $service of globex still runs"; done
[ -z "$(ls "$work/globex/components")" ] || fail "globex still has component files"
echo "nothing of globex is left running"
expect "$acme_port" "Edition: second"

step "Done in $SECONDS s"
"$consign" status
if $keep; then
  remember_services
  cat <<EOF

Everything still runs. To look around:
  export CONSIGN_URL=$CONSIGN_URL CONSIGN_TOKEN_FILE=$CONSIGN_TOKEN_FILE
  alias consign=$consign
  consign install show acme;  consign job list;  consign events;  consign audit list
  xdg-open http://127.0.0.1:$acme_port/
Logs of the processes: $work/*.log; of acme's nginx: $work/acme/components/web/logs/service.log
To end it all: kill ${pids[*]}; sleep 1; kill -- ${services[*]/#/-}; rm -rf $work
EOF
else
  cat <<EOF

Everything was stopped and removed again: the logs of the processes (ims.log, build-agent.log, acme.log, globex.log)
and of the services (acme/components/web/logs/service.log). To look around, run it with --keep.
EOF
fi
