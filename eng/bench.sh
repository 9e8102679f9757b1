#!/usr/bin/env bash
# Measures the gateway beside what it is compared with, in one run, and prints the result as Markdown tables of ratios.
#
#   eng/bench.sh                 everything, about half an hour
#   eng/bench.sh --quick         one short round, to see that everything runs
#   eng/bench.sh --only streams  calls, auth, streams, start, stdio or profile; or scaling, which has a page of its own
#   eng/bench.sh --write         also puts the result into docs/benchmarks.md (docs/scaling.md)
#   eng/bench.sh --stand-in      without the gateway: a second pass-through takes its place and shows the noise
#   eng/bench.sh --steered       loopback hands received packets to the first processor (needs root); see docs/benchmarks.md
#
# MOORING_BIN names the gateway's program; ./mooring otherwise.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
verb=suite
arguments=()
page=
gateway=${MOORING_BIN:-$root/mooring}
steered=

while [ $# -gt 0 ]; do
  case $1 in
    --quick) arguments+=(--quick) ;;
    --only)
      if [ "${2:?--only needs a name}" = scaling ]; then
        verb=scaling
      else
        arguments+=(--only "$2")
      fi
      shift
      ;;
    --write) page=1 ;;
    --steered) steered=1; arguments+=(--steered) ;;
    --stand-in) gateway= ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) echo "unknown option $1; see --help" >&2; exit 2 ;;
  esac
  shift
done

programs=(nginx node npm perf)
[ "$verb" = suite ] || programs=()
if [ -n "$page" ]; then
  [ "$verb" = suite ] && arguments+=(--write "$root/docs/benchmarks.md") || arguments+=(--write "$root/docs/scaling.md")
fi

missing=()
for program in "${programs[@]}"; do
  command -v "$program" >/dev/null || missing+=("${program/#perf/linux-perf}")
done
if [ "$verb" = scaling ] && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && ! command -v initdb >/dev/null; then
  missing+=(postgresql)
fi
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}" >&2
  # A fresh machine has no package lists yet.
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2 ||
    { apt-get update -q >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2; }
fi
if [ "$verb" = suite ] && { [ ! -e "$root/bench/npm/node_modules/.package-lock.json" ] || [ "$root/bench/npm/package-lock.json" -nt "$root/bench/npm/node_modules/.package-lock.json" ]; }; then
  # engine-strict off: one of them asks for a newer node than Debian has, and runs on it all the same.
  (cd "$root/bench/npm" && npm ci --no-audit --no-fund --ignore-scripts --loglevel error >&2)
fi

dotnet build "$root/bench/Mooring.Benchmarks" -c Release -v q --nologo >&2
if [ -n "$gateway" ]; then
  # Builds it if it has to be built.
  "$gateway" version >&2
  arguments+=(--gateway "$gateway")
fi

# 10,000 connections need as many files on each side.
ulimit -n "$(ulimit -Hn)"
command=("$root/bench/Mooring.Benchmarks/bin/Release/net10.0/Mooring.Benchmarks" "$verb" --root "$root" "${arguments[@]}")
if [ -n "$steered" ]; then
  # A network of its own, so that nothing else on the machine sees the setting.
  exec unshare --net --mount sh -c '
    mount -t sysfs sysfs /sys && ip link set lo up && echo 1 > /sys/class/net/lo/queues/rx-0/rps_cpus && exec "$@"' sh "${command[@]}"
fi
exec "${command[@]}"
