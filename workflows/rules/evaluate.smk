# Evaluations of finished weights, of every kind in src/dmix/evaluations: one job per run and kind. A figure asks for those
# that it shows beside records (`reads`); of all runs only their own targets do. They need the weights of their runs.
def evaluation_of(run, kind):
    return str(product_of(RUNS, kind, GRID.folders[run]))


def evaluations_of(figure):
    """The products that a figure reads besides the records; of runs outside of a selection, those that are there."""
    definition = GRID.figures[figure]
    products = {
        run: evaluation_of(run, definition.reads)
        for run in shown_evaluations(GRID, definition)
    }
    return [
        product
        for run, product in products.items()
        if GRID.only is None or run in GRID.only or Path(product).exists()
    ]


def every_evaluation(kind):
    """The products of all runs that a kind takes, looked up only when they are asked for."""
    return lambda wildcards: [evaluation_of(run, kind) for run in runs_of(GRID, kind)]


# A run waits for its record, but not if it was evaluated with that record's weights: a clone gets records and
# products in any order of time stamps, and perhaps no weights.
def record_to_evaluate(wildcards):
    record = RUNS / wildcards.folder / "record.json"
    product = product_of(RUNS, wildcards.kind, wildcards.folder)
    return [] if is_of_record(product, record) else str(record)


# Targets: every run that a kind takes, such as `evaluate_confidence`.
for kind in kinds():

    rule:
        name:
            f"evaluate_{kind}"
        input:
            every_evaluation(kind),


# All that figures show beside records: what `runs` leaves to be made by devices.
if MAIN:

    rule evaluations:
        input:
            lambda wildcards: [
                path for figure in FIGURES for path in evaluations_of(figure)
            ],


rule evaluate:
    input:
        record_to_evaluate,
    output:
        f"{RUNS}/{{kind}}/{{folder}}-{{evaluation}}/{{kind}}.json",
    log:
        f"work/{TIER}/{{kind}}/{{folder}}-{{evaluation}}/log.txt",
    wildcard_constraints:
        kind="|".join(kinds()),
        folder=".+/s[0-9]+-[0-9a-f]{8}-[0-9a-f]{8}",
        evaluation="|".join(evaluation_digest(kind) for kind in kinds()),
    threads: lambda wc: cores_here(wc, run_spec(wc))
    resources:
        mem_mb=lambda wc: memory_mb(run_spec(wc)),
        runtime=LONGEST,
        gres=lambda wc: GRES.of(on_device(wc)),
        device=device_units if SERVER else 0,
        attempt=attempt_number,
    params:
        name=run_name,
        promise=lambda wc: promise(run_spec(wc)),
        preload="--preload" if config.get("preload") else "",
        lease=lease_and_workers,
    message:
        "Evaluate {params.name} ({wildcards.kind})"
    shell:
        "exec dmix evaluate {params.name} --{wildcards.kind} --tier {TIER} --attempt {resources.attempt}"
        " --promise {params.promise:q} {params.preload} {params.lease} >>{log} 2>&1"
