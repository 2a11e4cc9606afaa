#!/usr/bin/env bash
# In a checkout's root, of a state that was carried here:  bash scripts/gpu/collect.sh STATE.tar.gz [FOLDER]
# Puts the sweep with fit, figures and report into FOLDER (results/one_gpu), and evidence.md with what the stages found.
set -euo pipefail
python=python3
[ -x .venv/bin/python ] && python=.venv/bin/python
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
exec "${PYTHON:-$python}" -m scripts.evidence --collect "${1:?STATE.tar.gz}" --out "${2:-results/one_gpu}"
