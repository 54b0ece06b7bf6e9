# One job per run, whose output is a record. How often a failed job is tried again is in the profile: a number here
# would count inside of SLURM's jobs too. `attempt` makes a job that was refused end at once. Resume state is in work/
# and not declared: Snakemake deletes declared outputs before a retry.
#
# Every function of a rule is called for each of 10,000 jobs, and `signed` keeps Snakemake from inspecting it each time.
@signed
def run_name(wildcards):
    try:
        return GRID.name_of(wildcards.folder)
    except KeyError:
        raise WorkflowError(
            f"{wildcards.folder}: no run has these digests (any more): the parameters or the code "
            "were edited since this job was submitted. Start the workflow again; what is finished is kept."
        ) from None


# A run waits for the run whose weights it starts from and for its class relation, but only while it has no
# record: their settings and code are part of its own identity, so a new clone or time stamp of theirs must not
# train it again.
def record_of_source(spec, product):
    if spec.source is None or Path(product).exists():
        return []
    return f"{RUNS}/{GRID.folders[spec.source.name]}/record.json"


def relation_record(spec, product):
    if spec.relation is None or Path(product).exists():
        return []
    return f"{RUNS}/{folder_of(spec.relation)}/relation.json"


@signed
def records_to_start(wildcards):
    spec = run_spec(wildcards)
    if spec.source is None and spec.relation is None:
        return []
    product = f"{RUNS}/{wildcards.folder}/record.json"
    found = (record_of_source(spec, product), relation_record(spec, product))
    return [record for record in found if record]


# How many GPUs share one run: settings of the profile, else by memory; and which of them a job asks a scheduler for
# (docs/cluster.md).
try:
    PROCESSES = Processes(config, GRID, SERVER, tell, in_job=not MAIN)
    # On a server, or in a job that has its GPU, nothing asks.
    GRES = Gres(config if MAIN and SERVER is None else {}, GRID, tell)
except DmixError as error:
    raise WorkflowError(str(error)) from None
# The longest job that the site allows, in minutes: also a setting of the profile.
LONGEST = int(config.get("longest_job", 24 * 60))


def run_spec(wildcards):
    return GRID.runs[run_name(wildcards)]


def processes(wildcards):
    return PROCESSES[run_name(wildcards)]


# The place of a run or class relation in the order of starts (dmix.grid.order). Its priority is minus that: what is
# rendered from records has Snakemake's default, 0, and goes first as soon as it can.
RANKS = ranks(GRID) if MAIN else Counter()  # a job that has started needs none


@signed
def rank(wildcards):
    return -RANKS[run_name(wildcards)]


@signed
def attempt_number(wildcards, attempt):
    return attempt


# Options that are the same for all runs: a folder for event files (docs/watching.md), and one on the nodes, or a
# variable that names it there (docs/cluster.md).
BOARD, STAGE = config.get("tensorboard"), config.get("stage")
OPTIONS = [
    f"--tensorboard {shlex.quote(str(BOARD))}" if BOARD else "",
    f'--stage "{STAGE}"' if STAGE else "",
]


# One string, and not a parameter for each part: Snakemake makes it for every job, also of those that are finished.
@signed
def training(wildcards):
    name, count = run_name(wildcards), processes(wildcards)
    trainer = (
        "dmix train"
        if count == 1
        else f"torchrun --standalone --nproc-per-node {count} -m dmix.cli train"
    )
    options = (
        f"--promise {shlex.quote(promise(GRID.runs[name]))}",
        # torchrun starts and watches processes of its own.
        "--preload" if config.get("preload") and count == 1 else "",
        lease_and_workers(wildcards),
        *OPTIONS,
    )
    return " ".join((trainer, name, f"--tier {TIER}", *filter(None, options)))


rule train:
    input:
        records_to_start,
    output:
        record=f"{RUNS}/{{folder}}/record.json",
        history=f"{RUNS}/{{folder}}/history.csv",
    log:
        f"work/{TIER}/{{folder}}/log.txt",
    wildcard_constraints:
        folder="[a-z]+/.+/s[0-9]+-[0-9a-f]{8}-[0-9a-f]{8}",
    priority: rank
    threads: signed(lambda wc: cores_here(wc, run_spec(wc)) * processes(wc))
    resources:
        # A job that ran out of memory asks for more the next time.
        mem_mb=signed(
            lambda wc, attempt: memory_mb(run_spec(wc)) * processes(wc) * attempt
        ),
        runtime=signed(lambda wc: minutes(GRID, run_name(wc), LONGEST)),
        gres=signed(lambda wc: GRES.of(run_name(wc), processes(wc))),
        device=signed(lambda wc: device_units(wc, processes(wc))) if SERVER else 0,
        attempt=attempt_number,
    params:
        name=run_name,
        command=training,
    message:
        "Train {params.name}"
    # exec: SLURM's SIGTERM would kill a shell in between, Snakemake would exit, and SLURM would kill the trainer
    # before it has saved.
    shell:
        "exec {params.command} --attempt {resources.attempt} >>{log} 2>&1"


# All records of the tier: a deleted one is trained again even if its tables are rendered.
rule runs:
    input:
        lambda wc: [f"{RUNS}/{folder}/record.json" for folder in GRID.folders.values()],
