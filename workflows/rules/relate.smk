# One job per class relation, before the runs that need it (Co-Tuning). Seeds share one.
def relation_name(wildcards):
    name = wildcards.folder.rsplit("-", 2)[0]
    spec = GRID.class_relations.get(name)
    if spec is None or folder_of(spec) != wildcards.folder:
        raise WorkflowError(
            f"{wildcards.folder}: no run needs this class relation (any more): the parameters or the code "
            "were edited since this job was submitted. Start the workflow again; what is finished is kept."
        )
    return name


def relation_spec(wildcards):
    return GRID.class_relations[relation_name(wildcards)]


rule relate:
    input:
        lambda wc: record_of_source(
            relation_spec(wc), f"{RUNS}/{wc.folder}/relation.json"
        ),
    output:
        f"{RUNS}/{{folder}}/relation.json",
    log:
        f"work/{TIER}/{{folder}}/log.txt",
    wildcard_constraints:
        folder="relation/.+/s[0-9]+-[0-9a-f]{8}-[0-9a-f]{8}",
    priority: lambda wc: -RANKS[relation_name(wc)]
    threads: lambda wc: cores_here(wc, relation_spec(wc))
    resources:
        mem_mb=lambda wc: memory_mb(relation_spec(wc)),
        runtime=60,  # the largest takes minutes, most of them on the host
        gres=lambda wc: GRES.of(on_device(wc)),
        device=device_units if SERVER else 0,
        attempt=attempt_number,
    params:
        name=relation_name,
        promise=lambda wc: promise(relation_spec(wc)),
        lease=lease,
    message:
        "Learn {params.name}"
    shell:
        "exec dmix relate {params.name} --tier {TIER} --attempt {resources.attempt}"
        " --promise {params.promise:q} {params.lease} >>{log} 2>&1"
