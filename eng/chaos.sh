#!/usr/bin/env bash
# Plays faults against real gateways under load, behind real balancers, and prints what was lost as a Markdown table.
#
#   eng/chaos.sh                   every round with 200 sessions, about 25 minutes
#   eng/chaos.sh --only kill       one round; may be given more than once (docs/chaos.md lists them)
#   eng/chaos.sh --sessions 50     fewer sessions, or more
#   eng/chaos.sh --seed 7          another course of events; the same seed has every session do the same
#   eng/chaos.sh --short           faults last 0.4 times as long
#   eng/chaos.sh --replicas 2      every round with that many gateways instead of its own number (more than one: on PostgreSQL)
#   eng/chaos.sh --write           also puts the result into docs/chaos.md
#
# Ends with 1 if a call or a session was lost, anything was done twice, or another promise of a round was broken.
# MOORING_BIN names the gateway's program; what ./mooring builds otherwise.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
arguments=()

while [ $# -gt 0 ]; do
  case $1 in
    --sessions | --seed | --only | --replicas) arguments+=("$1" "${2:?$1 needs a value}"); shift ;;
    --short) arguments+=(--short) ;;
    --write) arguments+=(--write "$root/docs/chaos.md") ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) echo "unknown option $1; see --help" >&2; exit 2 ;;
  esac
  shift
done

missing=()
# command:package; Debian keeps some outside of a user's PATH.
for need in haproxy:haproxy nginx:nginx faketime:faketime setpriv:util-linux; do
  PATH=$PATH:/usr/sbin command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
done
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}" >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2 ||
    { apt-get update -q >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2; }
fi

dotnet build "$root/bench/Mooring.Chaos" -c Release -v q --nologo >&2
# Hundreds of sessions with a few connections each, on both sides of two balancers.
ulimit -n "$(ulimit -Hn)"
exec "$root/bench/Mooring.Chaos/bin/Release/net10.0/Mooring.Chaos" "${arguments[@]}"
