#!/usr/bin/env bash
# The stages of scripts/evidence as one process that can be watched and stopped by its number:  bash plan.sh [STAGE ...]
#   In a checkout it is 'python -m scripts.evidence' with the state in runs/gpu.
#   By a kit that carries the project to a machine: STATE is the folder of the state, with the checkout in STATE/src;
#   SITE a folder of further packages; TOY=1 runs all of it at toy size on a CPU.
# Its number is in STATE/plan.pid; TERM stops it cleanly, and the same command goes on.
set -uo pipefail
if [ -n "${STATE:-}" ]; then
    root=$STATE/src
    options=(--no-collect --cache "$STATE/cache")
    export HOME=$STATE/home MPLCONFIGDIR=$STATE/home/mpl
    mkdir -p "$HOME"
else
    root=$(cd "$(dirname "$0")/../.." && pwd)
    STATE=$root/runs/gpu
    options=()
fi
python=python3
[ -x "$root/.venv/bin/python" ] && python=$root/.venv/bin/python
[ "${TOY:-0}" = 1 ] && options+=(--toy)
export PYTHONPATH=$root${SITE:+:$SITE}
mkdir -p "$STATE"
cd "$root" || exit 2
echo $$ >"$STATE/plan.pid"
trap 'rm -f "$STATE/plan.pid"' EXIT
"$python" -m scripts.evidence --state "$STATE" ${options[@]+"${options[@]}"} "$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM INT HUP
code=0
while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
done
exit "$code"
