#!/usr/bin/env bash
# A private SLURM on this machine: MINISLURM_DIR=/tmp/folder minislurm.sh COMMAND
#
#   up [NODES]       start the controller and its nodes, g1, g2, ...
#   down             stop all of it, and whatever its jobs left behind
#   kill NODE        kill a node: its slurmd and every process on it
#   controller kill|start
#
# Root, and Debian's slurmctld, slurmd, slurm-client and munge; no systemd, cgroups or database. Each node
# is a slurmd with a port of its own, three "GPUs", and a host name and hosts file of its own (namespaces), so that
# the processes on it take those of another node for remote ones. Jobs are spread over the nodes. Processes are tracked by process group: like cgroups,
# this ends what a job step leaves behind, which proctrack/linuxproc does not. All state is in MINISLURM_DIR (a short
# path), apart from two
# links in /etc/slurm: job steps look for slurm.conf there, because the Snakemake plugin takes SLURM_CONF
# out of their environment. A slurm.conf that is not ours is never touched.
set -euo pipefail

dir=${MINISLURM_DIR:?the folder for all state}
port=${MINISLURM_PORT:-17600}
etc=/etc/slurm
host=$(hostname -s)
export MINISLURM_DIR SLURM_CONF=$dir/slurm.conf

start() { # NAME COMMAND...: run a daemon in the background and remember its process
    local name=$1
    shift
    setsid "$@" >"$dir/log/$name.out" 2>&1 </dev/null &
    echo $! >"$dir/pids/$name"
}

ours() { # FILE: whether the link /etc/slurm/FILE is ours
    [ "$(readlink "$etc/$1")" = "$dir/$1" ]
}

write_configuration() { # NODES
    local i address=127.0.0.1 any=""
    # Listen on the loopback only, where the host's name leads there; the key keeps others out anyway.
    if [[ "$(getent ahostsv4 "$host" | head -n 1)" =~ ^(127\.[0-9.]+) ]]; then
        address=${BASH_REMATCH[1]} any=CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
    fi
    cat >"$dir/slurm.conf" <<EOF
ClusterName=mini
SlurmctldHost=$host($address)
SlurmctldPort=$port
$any
SlurmUser=root
SlurmdUser=root
AuthInfo=socket=$dir/munge.sock
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.%n.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory,CR_LLN
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
MinJobAge=3600
SlurmdTimeout=30
KillWait=${MINISLURM_KILL_WAIT:-30}
MpiDefault=none
AccountingStorageType=accounting_storage/none
PartitionName=mini Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
    for ((i = 1; i <= $1; i++)); do
        echo "NodeName=g$i NodeHostname=$host NodeAddr=$address Port=$((port + i)) CPUs=4 RealMemory=64000 Gres=gpu:3"
    done >>"$dir/slurm.conf"
    # A count alone is refused (the node is INVAL); the files must be devices, and nothing opens them.
    for i in 0 1 2; do
        [ -e "$dir/gpu$i" ] || mknod "$dir/gpu$i" c 1 3
    done
    for ((i = 1; i <= $1; i++)); do
        echo "NodeName=g$i Name=gpu File=$dir/gpu[0-2]"
    done >"$dir/gres.conf"
}

start_controller() {
    start slurmctld slurmctld -D
}

start_node() { # NAME
    mkdir -p "$dir/spool/$1"
    # The job steps of a node connect to its host name.
    { cat /etc/hosts && echo "127.0.0.1 $1"; } >"$dir/hosts.$1"
    MINISLURM_NODES_OF=$dir start "slurmd.$1" unshare --uts --mount bash -c \
        'hostname "$1" && mount --bind "$2" /etc/hosts && exec slurmd -D -N "$1"' node "$1" "$dir/hosts.$1"
}

on_node() { # NAME: print the processes that have the node's host name
    local pid space
    space=$(readlink "/proc/$(cat "$dir/pids/slurmd.$1")/ns/uts")
    for pid in /proc/[0-9]*; do
        if [ "$(readlink "$pid/ns/uts" 2>/dev/null)" = "$space" ]; then echo "${pid#/proc/}"; fi
    done
}

kill_node() { # NAME
    local pids
    pids=$(on_node "$1")
    # All at once, so that none sees another die and says so to the controller.
    # shellcheck disable=SC2086
    kill -KILL $pids
    rm "$dir/pids/slurmd.$1"
}

kill_controller() {
    kill -KILL "$(cat "$dir/pids/slurmctld")"
    rm "$dir/pids/slurmctld"
}

up() { # NODES
    local i end file
    for file in slurm.conf gres.conf; do
        if [ -e "$etc/$file" ] || [ -L "$etc/$file" ]; then
            echo "minislurm: $etc/$file exists: this machine has, or had, a SLURM of its own" >&2
            return 1
        fi
    done
    trap 'down' EXIT
    mkdir -p "$dir"/{pids,state,spool,log}
    chmod 755 "$dir" # munged refuses a socket that others could not reach
    (umask 077 && head -c 1024 /dev/urandom >"$dir/munge.key")
    start munged munged --foreground --key-file="$dir/munge.key" --socket="$dir/munge.sock" \
        --pid-file="$dir/munged.pid" --log-file="$dir/log/munged.log" --seed-file="$dir/munge.seed"
    write_configuration "$1"
    mkdir -p "$etc"
    ln -s "$dir/slurm.conf" "$dir/gres.conf" "$etc/"
    start_controller
    for ((i = 1; i <= $1; i++)); do
        start_node "g$i"
    done
    end=$((SECONDS + 60))
    while [ "$SECONDS" -lt "$end" ]; do
        if [ "$(timeout 5 sinfo --noheader --Node --states=idle 2>/dev/null | wc -l)" = "$1" ]; then
            trap - EXIT
            return
        fi
        for file in "$dir"/pids/*; do
            kill -0 "$(cat "$file")" 2>/dev/null || break 2
        done
        sleep 0.5
    done
    echo "minislurm: a daemon has died, or the nodes are not idle after a minute" >&2
    tail -n 8 "$dir"/log/*.out >&2
    return 1
}

stop() { # PID: ask a process to end, and make it end after six seconds
    local i
    kill "$1" 2>/dev/null || return 0
    for ((i = 0; i < 30; i++)); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.2
    done
    kill -KILL "$1" 2>/dev/null || true
}

left() { # print processes of our nodes, and jobs submitted with the same mark in their environment
    local file pid
    for file in /proc/[0-9]*/environ; do
        pid=${file//[!0-9]/}
        if [ "$pid" != $$ ] && [ "$pid" != "$PPID" ] \
            && grep --quiet --null-data --line-regexp --fixed-strings "MINISLURM_NODES_OF=$dir" "$file" 2>/dev/null; then
            echo "$pid"
        fi
    done
}

down() {
    local end pid file
    trap - EXIT
    if ours slurm.conf; then
        timeout 10 scancel --user=root 2>/dev/null || true
        end=$((SECONDS + 20))
        while [ "$SECONDS" -lt "$end" ] && [ -n "$(timeout 5 squeue --noheader 2>/dev/null)" ]; do
            sleep 0.5
        done
    fi
    for file in slurmd.g slurmctld munged; do # the nodes first, the keys last
        for pid in "$dir/pids/$file"*; do
            [ -e "$pid" ] || continue
            stop "$(cat "$pid")"
            rm "$pid"
        done
    done
    for pid in $(left); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    for file in slurm.conf gres.conf; do
        if ours "$file"; then rm "$etc/$file"; fi
    done
    rmdir "$etc" 2>/dev/null || true # only where it is empty
}

case ${1:-} in
    up) up "${2:-2}" ;;
    down) down ;;
    kill) kill_node "$2" ;;
    controller) if [ "${2:-}" = kill ]; then kill_controller; else start_controller; fi ;;
    *)
        echo "usage: MINISLURM_DIR=/tmp/folder $0 up [NODES] | down | kill NODE | controller kill|start" >&2
        exit 2
        ;;
esac
