"""What mends a job that sbatch refuses: the option of ours behind each of its words."""

import re

from harness.launch.slurm import client

ARRAY_SIZE = re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE)
INSTEAD = " (of the dependent job: launcher.report_options)"
REMEDIES: tuple[tuple[str, str], ...] = (
    ("array spec", "launcher.max_tasks: fewer array tasks{limit}"),
    (
        "accounting/QOS policy|AssocGrp|QOS(Max|Grp)|submit limit",
        "launcher.max_tasks, launcher.time, launcher.cpus, launcher.gres or launcher.qos: one is above your limits",
    ),
    ("account", "launcher.account, launcher.partition: 'sacctmgr show assoc user=$USER' lists yours"),
    ("partition", "launcher.partition: 'sinfo -s' lists them"),
    ("qos", "launcher.qos: 'sacctmgr show qos' lists them"),
    ("invalid --time", "launcher.time: as sbatch takes it, e.g. 04:00:00 or 2-00:00:00"),
    ("invalid --mem", "launcher.memory: as sbatch takes it, e.g. 16G"),
    ("time limit", "launcher.time: a shorter limit; runs that it cuts go on from their checkpoints"),
    (r"generic resource|\bgres\b|gpus", "launcher.gres: 'sinfo -o \"%P %G\"' lists what nodes have"),
    ("memory", "launcher.memory: less than a node has; 'sinfo -o \"%P %m\"' lists it"),
    ("CPU count|cpus", "launcher.cpus: fewer than a node has; 'sinfo -o \"%P %c\"' lists it"),
    (
        "node configuration|more processors",
        "launcher.gres, launcher.cpus, launcher.memory, launcher.partition: no node has all that a task asks for",
    ),
    ("feature|constraint", "launcher.sbatch: its --constraint"),
    ("reservation", "launcher.sbatch: its --reservation"),
    (
        "dependency",
        "launcher.report=false: no dependent job; run the same command again when the array has ended",
    ),
    ("batch script|#!|line breaks", "launcher.template: its first line must be '#!/bin/bash'"),
    (
        "unrecogni[sz]ed option|invalid option|invalid argument|requires an argument",
        "launcher.sbatch, launcher.report_options, launcher.template: one has an option that this sbatch does not take",
    ),
    (
        "timed out|unable to contact|no answer",
        "the controller is down or busy: wait; nothing is lost or submitted twice",
    ),
)
"""Words of sbatch, and what to change; the first that match count."""


def remedy(said: str, dependent: bool = False) -> str:
    """What mends what sbatch ``said``; empty where that is not known.

    Args:
        dependent: of the job that continues, whose account, partition and qos ``report_options`` may replace.
    """
    text = said.removeprefix("sbatch: ")
    found = next((mends for words, mends in REMEDIES if re.search(words, text, re.IGNORECASE)), "")
    option, colon, rest = found.partition(":")
    if dependent and re.search(r"launcher\.(account|partition|qos|time|memory)\b", option):
        found = option + INSTEAD + colon + rest
    return found.replace("{limit}", _limit() if "{limit}" in found else "")


def _limit() -> str:
    """``, at most 1001 (MaxArraySize)``, where the controller says so."""
    match = ARRAY_SIZE.search(client.configuration())
    return f", at most {match[1]} (MaxArraySize)" if match else " than Slurm's MaxArraySize"
