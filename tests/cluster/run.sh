#!/usr/bin/env bash
# Eight runs on a private SLURM of three nodes, through the profile and plugin that a real cluster uses, while a
# node dies, jobs are cancelled, stopped and time out, and the controller and the driver are killed (scenario.py).
# Eight minutes on two idle cores.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

skip() {
    echo "skipped: $1"
    exit 0
}

[ "$(id -u)" = 0 ] || skip "cluster-test starts SLURM daemons, which needs root"
for program in slurmctld slurmd munged scontrol sbatch unshare; do
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null \
        || skip "no $program; on Debian: apt-get install slurmctld slurmd slurm-client munge"
done
unshare --uts --mount true 2>/dev/null || skip "no namespaces here, which the nodes need for names of their own"
for file in /etc/slurm/slurm.conf /etc/slurm/gres.conf; do
    old=$(readlink "$file" || true)
    if [[ $old == /tmp/dmix-cluster.*/slurm/* ]]; then
        skip "an earlier test runs or was killed; if it was: MINISLURM_DIR=${old%/*} $here/minislurm.sh down"
    elif [ -e "$file" ] || [ -n "$old" ]; then
        skip "$file exists: this machine has a SLURM of its own"
    fi
done

# Short and without spaces whatever TMPDIR says: the path of a socket has 107 characters.
temporary=$(mktemp -d /tmp/dmix-cluster.XXXXXX)
chmod 755 "$temporary" # munged refuses a socket that others could not reach
project=$temporary/project
export MINISLURM_DIR=$temporary/slurm SLURM_CONF=$temporary/slurm/slurm.conf MINISLURM_NODES_OF=$temporary/slurm
export PATH=$root/.venv/bin:$PATH:/usr/sbin

cleanup() {
    local status=$?
    trap - EXIT
    trap '' INT TERM
    if [ "$status" != 0 ]; then
        echo "--- the end of the logs" >&2
        tail -n 25 "$temporary"/*.log "$temporary"/slurm/log/*.out >&2 || true
        find "$project/work" "$project/.snakemake/slurm_logs" -type f \( -name log.txt -o -name '*.log' \) \
            -exec tail -n 15 {} + >&2 || true
    fi
    "$here/minislurm.sh" down || true
    rm -rf "$temporary"
    if [ "$status" != 0 ]; then echo "cluster-test: 0 passed, 1 failed" >&2; fi
    exit "$status"
}

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A copy, source included, so that nobody's edits reach the jobs and no job writes into the repository.
mkdir -p "$project"
cp -r "$root"/{params.yaml,params,Snakefile,workflows,reference,src} "$project"
cd "$project"
export PYTHONPATH=$project/src
python "$here/scenario.py" prepare
cp -r "$project" "$temporary/alone"
"$here/minislurm.sh" up 3
python "$here/scenario.py" run "$temporary/alone" "$here/minislurm.sh"
"$here/minislurm.sh" down
trap 'rm -rf "$temporary"' EXIT
echo "cluster-test: 1 passed, 0 failed"
