#!/usr/bin/env bash
# Plays faults against real gateways under load, behind real balancers, and prints what was lost as Markdown tables.
#
#   eng/chaos.sh                   every round with 200 sessions and 53 clients without, then the throughput; about 35 minutes
#   eng/chaos.sh ROUND...          these only, such as kill or store-cut (docs/stability.md lists them)
#   eng/chaos.sh --write           also puts the results into docs/stability.md; rows of rounds that were not played stay
#   eng/chaos.sh --sessions 50     fewer sessions, or more
#   eng/chaos.sh --official 0      clients built on the official npm libraries (10, of which 7 are among the sessions)
#   eng/chaos.sh --pace 0.5        mean seconds between two steps of one session (2)
#   eng/chaos.sh --seed 7          another course of events; the same seed has every session do the same
#   eng/chaos.sh --short           every round in some seconds: shorter and fewer faults, 16 clients, 10 with a session, three rounds at a
#                                  time, one PostgreSQL for all that do not strike it; one line for each. ./test.sh plays them so
#   eng/chaos.sh --parallel 3      rounds at the same time (1)
#   eng/chaos.sh --replicas 2      every round with that many gateways instead of its own number (more than one: on PostgreSQL)
#   eng/chaos.sh --store dynamodb  several gateways share a DynamoDB table (dynalite) instead of a PostgreSQL; not for rounds that strike the store
#   eng/chaos.sh --older REV       which older build upgrade begins with (the one before the last change of PostgreSQL's schema)
#   eng/chaos.sh --commit durable  sets commit of every server; the throughput is measured both ways in any case
#
# Ends with 1 if a call or a session was lost, anything was done twice, another promise of a round was broken, or its fault did not happen;
# with 2 on wrong usage. MOORING_BIN names the gateway's program; what ./mooring builds otherwise.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
arguments=()
schema=src/Mooring/Stores/Postgres/PostgresSchema.cs
older=
upgrades=1
named=

while [ $# -gt 0 ]; do
  case $1 in
    --sessions | --official | --pace | --seed | --parallel | --replicas | --commit | --store)
      [ $# -gt 1 ] || { echo "$1 needs a value; see --help" >&2; exit 2; }
      arguments+=("$1" "$2")
      shift
      ;;
    --older)
      older=${2:?--older needs a revision}
      shift
      ;;
    --short)
      arguments+=(--short)
      # Nothing lives long enough here to gain by being compiled once more; as in ./test.sh.
      export DOTNET_TieredPGO=0 DOTNET_TC_CallCounting=0
      ;;
    --write) arguments+=(--write "$root/docs/stability.md") ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    -*) echo "unknown option $1; see --help" >&2; exit 2 ;;
    *)
      # Before anything is installed or built.
      grep -q "(\"$1\", () => new " "$root/bench/Mooring.Chaos/Rounds/AllRounds.cs" || [ "$1" = throughput ] ||
        { echo "unknown round $1; there are: $(grep -o '("[a-z-]*", () => new ' "$root/bench/Mooring.Chaos/Rounds/AllRounds.cs" | cut -d'"' -f2 | tr '\n' ' ')throughput" >&2; exit 2; }
      arguments+=("$1")
      [ -n "$named" ] || upgrades=
      named=1
      [ "$1" != upgrade ] || upgrades=1
      ;;
  esac
  shift
done

missing=()
# command:package; Debian keeps some outside of a user's PATH.
for need in haproxy:haproxy nginx:nginx faketime:faketime setpriv:util-linux sqlite3:sqlite3 git:git node:nodejs npm:npm; do
  PATH=$PATH:/usr/sbin command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}" >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2 ||
    { apt-get update -q >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2; }
fi

# The official clients, and the server of the DynamoDB protocol; as ./test.sh installs them.
for fixtures in "$root/tests/fixtures/conformance" "$root/tests/fixtures/dynamodb"; do
  if ! cmp -s "$fixtures/package-lock.json" "$fixtures/node_modules/.installed"; then
    (cd "$fixtures" && npm ci --no-audit --no-fund --loglevel=error >&2)
    cp "$fixtures/package-lock.json" "$fixtures/node_modules/.installed"
  fi
done

dotnet build "$root/bench/Mooring.Chaos" -c Release -v q --nologo >&2

# The older build, kept beside this one.
if [ -n "$upgrades" ]; then
  if [ -z "$older" ]; then
    older=$(git -C "$root" log -1 --format=%H -- "$schema")^
  fi
  older=$(git -C "$root" rev-parse --verify --quiet "$older^{commit}") ||
    { echo "no older revision ${older:-} in this clone; name one with --older, or other rounds" >&2; exit 2; }
  place=$root/.build/older-${older:0:12}
  if [ ! -x "$place/app/Mooring.Host" ]; then
    echo "building $(git -C "$root" log -1 --format='%h %s' "$older")" >&2
    rm -rf "$place"
    mkdir -p "$place/source"
    git -C "$root" archive "$older" | tar -x -C "$place/source"
    # Compiled ahead, as ./mooring builds the one that takes its place; where the compiler for that cannot be had, without.
    publish() { dotnet publish "$place/source/src/Mooring.Host" -c Release -v q --nologo --use-current-runtime -p:SelfContained=false -p:RunAnalyzers=false "$@" -o "$place/app" >&2; }
    publish -p:PublishReadyToRun=true || publish
    rm -rf "$place/source"
  fi
  export MOORING_BIN_OLDER=$place/app/Mooring.Host
  steps() { git -C "$root" show "$1:$schema" | grep -c '^        new('; }
  [ "$(steps "$older")" = "$(steps HEAD)" ] || export MOORING_OLDER_SCHEMA=1
fi
# Hundreds of sessions with a few connections each, on both sides of two balancers.
ulimit -n "$(ulimit -Hn)"
exec "$root/bench/Mooring.Chaos/bin/Release/net10.0/Mooring.Chaos" "${arguments[@]}"
