#!/usr/bin/env bash
# Kills, cuts, fills and moves the clocks of real processes under load, and checks after each round what must hold.
# usage: tests/campaign/run.sh [ROUNDS] [SEED] [FIRST]     default: 300 rounds, a new seed, from round 0
# The seed is printed: with it, and the number of a round as FIRST, the same faults come again.
# Full disks need the right to mount, moved clocks the right to debug: as root, all of it runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CAMPAIGN_ROUNDS=${1:-300} CAMPAIGN_SEED=${2:-$RANDOM$RANDOM} CAMPAIGN_FIRST=${3:-0}
export CONSIGN_BINARY=${CONSIGN_BINARY:-build/release/consign}
PYTHONPATH=tests exec /usr/bin/python3 tests/campaign/campaign_test.py -v
