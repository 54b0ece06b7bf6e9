#!/usr/bin/env bash
# Six runs on a private two-node SLURM, through the profile and plugin that a real cluster uses. One is
# cancelled half-way and must resume to the weights of a run that was left alone. Under five minutes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
limit=400 # seconds for the whole workflow, many times what it needs on an idle machine
tier=smoke

skip() {
    echo "skipped: $1"
    exit 0
}

[ "$(id -u)" = 0 ] || skip "cluster-test starts SLURM daemons, which needs root"
for program in slurmctld slurmd munged scontrol sbatch; do
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null \
        || skip "no $program; on Debian: apt-get install slurmctld slurmd slurm-client munge"
done
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
alone=$temporary/alone
children=()
reason="see above"

cleanup() {
    local status=$? child
    trap - EXIT
    trap '' INT TERM
    if [ "$status" != 0 ]; then
        echo "--- the end of the logs" >&2
        tail -n 12 "$temporary"/*.log "$temporary"/slurm/log/*.out >&2 || true
        find "$project/work" "$project/.snakemake/slurm_logs" -type f \( -name log.txt -o -name '*.log' \) \
            -exec tail -n 15 {} + >&2 || true
    fi
    for child in "${children[@]}"; do # by way of their timeout, which makes them go if they do not
        kill "$child" 2>/dev/null || true
        wait "$child" || true
    done
    MINISLURM_DIR=$temporary/slurm "$here/minislurm.sh" down || true
    rm -rf "$temporary"
    if [ "$status" != 0 ]; then echo "cluster-test: 0 passed, 1 failed: $reason" >&2; fi
    exit "$status"
}

fail() {
    reason=$1
    exit 1
}

await() { # SECONDS WHAT COMMAND...: wait until the command succeeds
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || fail "waited in vain for $what"
        sleep 0.2
    done
}

say() {
    echo "[${SECONDS} s] $1"
}

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export PATH=$root/.venv/bin:$PATH:/usr/sbin

# A copy, source included, so that nobody's edits reach the jobs and no job writes into the repository.
mkdir -p "$project/src"
cp -r "$root"/{params.yaml,params,Snakefile,workflows,reference} "$project"
cp -r "$root/src/dmix" "$project/src"
cd "$project"
export PYTHONPATH=$project/src
mapfile -t folders < <(python "$here/runs.py" targets)
[ "${#folders[@]}" = 6 ] || fail "tier $tier has no six runs"
records=("${folders[@]/#/results/$tier/runs/}")
records=("${records[@]/%//record.json}")
work=work/$tier/${folders[0]}
name=${folders[0]%-*-*}
dmix data embed >"$temporary/embed.log"
cp -r "$project" "$alone"
say "prepared six runs; $name is long"

export MINISLURM_DIR=$temporary/slurm SLURM_CONF=$temporary/slurm/slurm.conf MINISLURM_NODES_OF=$temporary/slurm
"$here/minislurm.sh" up 2
say "a SLURM of two nodes is up"

# The profile as it is; only the wait for statuses is shortened, as nobody minds the load of squeue here.
timeout --kill-after=5 "$limit" snakemake --profile workflows/profiles/slurm \
    --slurm-init-seconds-before-status-checks 3 --config tier="$tier" \
    -- "${records[@]}" >"$temporary/driver.log" 2>&1 &
driver=$!
children+=("$driver")

# Called through `await`.
# shellcheck disable=SC2317
trains() {
    kill -0 "$driver" 2>/dev/null || fail "the workflow ended before there was anything to cancel"
    pid=$(sed -nE 's/.*"pid": ([0-9]+).*/\1/p' "$work/progress.json" 2>/dev/null) || return 1
    step=$(sed -nE 's/.*"step": ([0-9]+).*/\1/p' "$work/progress.json" 2>/dev/null) || return 1
    [ "${step:-0}" -ge 20 ]
}
await 240 "the first training steps" trains
job=$(sed -nE 's/.*"job": "([0-9]+)".*/\1/p' "$work/lock")
parent=$(tr '\0' ' ' <"/proc/$(ps -o ppid= -p "$pid" | tr -d ' ')/cmdline")
scancel "$job"
say "cancelled job $job at step $step of the long run"
# A shell between Snakemake and the trainer dies of the signal at once; Snakemake then leaves, and SLURM
# kills the trainer within a second. Without one the trainer has all of KillWait to save.
[[ $parent == *snakemake* && $parent != */bash\ * ]] || fail "the trainer is not Snakemake's own child: ${parent:0:60}"

# KillWait is 30 s. Look now: Snakemake empties the log when it starts the job again.
await 40 "the trainer to save and leave" grep -qs "SIGTERM: stopped at step" "$work/log.txt"

# Meanwhile, the same run with nobody in its way.
(cd "$alone" && exec timeout --kill-after=5 "$limit" dmix train "$name" --tier "$tier") >"$temporary/alone.log" 2>&1 &
reference=$!
children+=("$reference")

wait "$driver" || fail "the workflow ended with status $?"
say "the workflow is done"
wait "$reference" || fail "dmix train ended with status $?"

squeue --noheader --states=all --format="%i %T %N %k" >"$temporary/jobs.log"
[ "$(grep -c ' COMPLETED ' "$temporary/jobs.log")" = 6 ] || fail "there are not six completed jobs"
[ "$(grep -c ' CANCELLED ' "$temporary/jobs.log")" = 1 ] || fail "there is not one cancelled job"
for node in g1 g2; do
    count=$(grep -c " COMPLETED $node " "$temporary/jobs.log") || fail "no run trained on node $node"
    say "node $node: $count runs"
done
python "$here/runs.py" check "$step" "$alone" "${folders[@]}"
MINISLURM_DIR=$temporary/slurm "$here/minislurm.sh" down
say "the cluster is down"
trap 'rm -rf "$temporary"' EXIT
echo "cluster-test: 1 passed, 0 failed"
