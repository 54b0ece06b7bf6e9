# One job per run, whose output is a record. How often a failed job is tried again is in the profile: a number
# here would count inside of SLURM's jobs too. `attempt` makes a job that was refused end at once. Resume state is in work/ and not declared: Snakemake deletes
# declared outputs before a retry.
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


def source_record(wildcards):
    return record_of_source(
        run_spec(wildcards), f"{RUNS}/{wildcards.folder}/record.json"
    )


def relation_record(wildcards):
    relation = run_spec(wildcards).relation
    if relation is None or Path(f"{RUNS}/{wildcards.folder}/record.json").exists():
        return []
    return f"{RUNS}/{folder_of(relation)}/relation.json"


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


def trainer(wildcards):
    count = processes(wildcards)
    if count == 1:
        return "dmix train"
    return f"torchrun --standalone --nproc-per-node {count} -m dmix.cli train"


# The place of a run or class relation in the order of starts (dmix.grid.order). Its priority is minus that: what is
# rendered from records has Snakemake's default, 0, and goes first as soon as it can.
RANKS = ranks(GRID) if MAIN else Counter()  # a job that has started needs none


# A folder for event files: a setting of the profile (docs/watching.md).
def board(folder):
    return f"--tensorboard {shlex.quote(str(folder))}" if folder else ""


# A folder on the nodes, or a variable that names one there: also a setting of the profile (docs/cluster.md).
def stage(folder):
    return f'--stage "{folder}"' if folder else ""


rule train:
    input:
        source_record,
        relation_record,
    output:
        record=f"{RUNS}/{{folder}}/record.json",
        history=f"{RUNS}/{{folder}}/history.csv",
    log:
        f"work/{TIER}/{{folder}}/log.txt",
    wildcard_constraints:
        folder="[a-z]+/.+/s[0-9]+-[0-9a-f]{8}-[0-9a-f]{8}",
    priority: lambda wc: -RANKS[run_name(wc)]
    threads: lambda wc: cores_here(wc, run_spec(wc)) * processes(wc)
    resources:
        # A job that ran out of memory asks for more the next time.
        mem_mb=lambda wc, attempt: memory_mb(run_spec(wc)) * processes(wc) * attempt,
        runtime=lambda wc: minutes(GRID, run_name(wc), LONGEST),
        gres=lambda wc: GRES.of(run_name(wc), processes(wc)),
        device=lambda wc: device_units(wc, processes(wc)),
        attempt=lambda wc, attempt: attempt,
    params:
        name=run_name,
        promise=lambda wc: promise(run_spec(wc)),
        trainer=trainer,
        # torchrun starts and watches processes of its own.
        preload=lambda wc: (
            "--preload" if config.get("preload") and processes(wc) == 1 else ""
        ),
        lease=lease_and_workers,
        board=board(config.get("tensorboard")),
        stage=stage(config.get("stage")),
    message:
        "Train {params.name}"
    # exec: SLURM's SIGTERM would kill a shell in between, Snakemake would exit, and SLURM would kill the trainer
    # before it has saved.
    shell:
        "exec {params.trainer} {params.name} --tier {TIER} --attempt {resources.attempt}"
        " --promise {params.promise:q} {params.preload} {params.lease} {params.board} {params.stage}"
        " >>{log} 2>&1"


# All records of the tier: a deleted one is trained again even if its tables are rendered.
rule runs:
    input:
        lambda wc: [f"{RUNS}/{folder}/record.json" for folder in GRID.folders.values()],
