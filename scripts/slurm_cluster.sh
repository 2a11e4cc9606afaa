#!/usr/bin/env bash
# A private Slurm cluster on this machine, to try launcher=slurm and for the tests: several slurmd, fake GPUs,
# preemption with requeue. Everything lies in DIR; nothing below /etc is read or written. Needs root and:
#   apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge
#
#   scripts/slurm_cluster.sh up DIR [NODES] [GPUS]    prints the SLURM_CONF to export
#   scripts/slurm_cluster.sh down DIR
set -euo pipefail

usage() { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# -ge 2 ] || usage
mkdir -p "$2"
dir=$(cd "$2" && pwd)
nodes=${3:-2}
gpus=${4:-2}
host=$(hostname -s)

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A run of free ports for the controller and the nodes; several clusters may live on one machine.
free_ports() {
  local base i
  for _ in $(seq 50); do
    base=$((20000 + RANDOM % 20000))
    for i in $(seq 0 "$((nodes + 1))"); do port_is_free $((base + i)) || continue 2; done
    echo "$base"
    return
  done
  echo "no free ports" >&2
  exit 1
}

write_config() {
  local base=$1 node
  cat <<CONF
ClusterName=isoflop
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$base
SlurmdPort=$((base + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits until its credential has expired: 5 s instead of 2 min.
AuthInfo=socket=$dir/munge.sock,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
PriorityType=priority/basic
JobRequeue=1
KillWait=5
MinJobAge=3600
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=5
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=off
CONF
  for node in $(seq "$nodes"); do
    echo "NodeName=n$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((base + 1 + node))" \
      "CPUs=4 RealMemory=16000 Gres=gpu:$gpus State=UNKNOWN"
  done
}

up() {
  local gpu node
  mkdir -p "$dir"/{state,spool,log,dev}
  chmod 755 "$dir"
  dd if=/dev/urandom of="$dir/munge.key" bs=128 count=1 status=none
  chmod 600 "$dir/munge.key"
  munged --force --num-threads=2 --key-file="$dir/munge.key" --socket="$dir/munge.sock" \
    --pid-file="$dir/munged.pid" --log-file="$dir/log/munged.log" --seed-file="$dir/munge.seed"
  # Slurm wants a device file for every GPU (these are /dev/null) and sets CUDA_VISIBLE_DEVICES from its number.
  for gpu in $(seq 0 $((gpus - 1))); do mknod "$dir/dev/gpu$gpu" c 1 3; done
  printf 'AutoDetect=off\nName=gpu File=%s/dev/gpu[0-%d] Flags=nvidia_gpu_env\n' "$dir" $((gpus - 1)) >"$dir/gres.conf"
  write_config "$(free_ports)" >"$dir/slurm.conf"
  export SLURM_CONF="$dir/slurm.conf"
  slurmctld -c -f "$SLURM_CONF"
  for node in $(seq "$nodes"); do
    mkdir -p "$dir/spool/n$node"
    slurmd -N "n$node" -f "$SLURM_CONF"
  done
  for _ in $(seq 150); do
    if [ "$(sinfo -h -N -p batch -t idle -o %N 2>/dev/null | wc -l)" -eq "$nodes" ]; then
      echo "export SLURM_CONF=$SLURM_CONF"
      return
    fi
    sleep 0.2
  done
  echo "the nodes did not come up" >&2
  tail -n 20 "$dir"/log/*.log >&2
  exit 1
}

# Waits for the end: who deletes DIR earlier leaves daemons behind. A zombie is gone, whoever reaps it.
stop() {
  local pid
  [ -s "$1" ] || return 0
  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 100); do
    grep -qs '^State:[[:space:]]*[^Z]' "/proc/$pid/status" || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

down() {
  local file
  SLURM_CONF="$dir/slurm.conf" scancel --user="$(id -un)" >/dev/null 2>&1 || true
  sleep 0.5
  for file in "$dir"/slurmd-*.pid "$dir/slurmctld.pid" "$dir/munged.pid"; do stop "$file" & done
  wait
}

case $1 in
  up) up ;;
  down) down ;;
  *) usage ;;
esac
