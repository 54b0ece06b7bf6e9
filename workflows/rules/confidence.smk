# One job per run: how sure its network is (docs/confidence.md). No figure or table needs it, so nothing but the target
# `confidences` asks for it. It needs the run's weights.
CONFIDENCES = f"results/{TIER}/{CONFIDENCE}"


def confidence_of(folder):
    return f"{CONFIDENCES}/{folder}-{confidence_digest()}/confidence.json"


# As for mixed images: what was evaluated with the record's weights does not wait for the record.
def record_to_measure(wildcards):
    record = f"{RUNS}/{wildcards.folder}/record.json"
    product = Path(confidence_of(wildcards.folder))
    return [] if confidence_record.is_of_record(product, Path(record)) else record


rule confidences:
    input:
        [confidence_of(GRID.folders[run]) for run in confidence_runs(GRID)],


rule confidence:
    input:
        record_to_measure,
    output:
        f"{CONFIDENCES}/{{folder}}-{confidence_digest()}/confidence.json",
    log:
        f"work/{TIER}/{CONFIDENCE}/{{folder}}-{confidence_digest()}/log.txt",
    wildcard_constraints:
        folder="(supervised|semi)/.+/s[0-9]+-[0-9a-f]{8}-[0-9a-f]{8}",
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
        "Evaluate the confidence of {params.name}"
    shell:
        "exec dmix evaluate {params.name} --confidence --tier {TIER} --attempt {resources.attempt}"
        " --promise {params.promise:q} {params.preload} {params.lease} >>{log} 2>&1"
