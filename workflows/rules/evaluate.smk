# One job per run that a figure shows on mixed test images (`reads: mixed`). It needs the run's weights.
MIXED_SAMPLES = f"results/{TIER}/{MIXED}"


def mixed_of(figure):
    """The products that a figure reads besides the records."""
    definition = GRID.figures[figure]
    return [
        f"{MIXED_SAMPLES}/{GRID.folders[run]}-{mixed_digest()}/mixed.json"
        for run in GRID.figure_runs(definition)
        if definition.reads == MIXED
        and run in GRID.folders
        and can_be_evaluated(GRID.runs[run])
    ]


# A run waits for its record, but not if it was evaluated with that record's weights: a clone gets records and
# products in any order of time stamps, and perhaps no weights.
def record_to_evaluate(wildcards):
    record = f"{RUNS}/{wildcards.folder}/record.json"
    product = f"{MIXED_SAMPLES}/{wildcards.folder}-{mixed_digest()}/mixed.json"
    return [] if is_of_record(Path(product), Path(record)) else record


rule evaluate:
    input:
        record_to_evaluate,
    output:
        f"{MIXED_SAMPLES}/{{folder}}-{mixed_digest()}/mixed.json",
    log:
        f"work/{TIER}/{MIXED}/{{folder}}-{mixed_digest()}/log.txt",
    wildcard_constraints:
        folder="supervised/.+/s[0-9]+-[0-9a-f]{8}-[0-9a-f]{8}",
    threads: lambda wc: cores_here(wc, run_spec(wc))
    resources:
        mem_mb=lambda wc: memory_mb(run_spec(wc)),
        runtime=LONGEST,
        gres="gpu:1",
        device=device_units,
        attempt=lambda wc, attempt: attempt,
    params:
        name=run_name,
        promise=lambda wc: promise(run_spec(wc)),
        preload="--preload" if config.get("preload") else "",
        lease=lease_and_workers,
    message:
        "Evaluate {params.name}"
    shell:
        "exec dmix evaluate {params.name} --mixed --tier {TIER} --attempt {resources.attempt}"
        " --promise {params.promise:q} {params.preload} {params.lease} >>{log} 2>&1"
