# Data sets. The embedded editions are made here; the genuine ones are put in place by the user.
EMBEDDED = {
    spec.settings["dataset"]["folder"]: spec.axes["dataset"]
    for spec in GRID.runs.values()
    if spec.settings["dataset"]["edition"] == "embedded"
}


rule embed:
    output:
        "data/embedded/{data_set}/DMIX_EMBEDDED.json",
    wildcard_constraints:
        data_set="[^/]+",
    params:
        name=lambda wc: EMBEDDED[wc.data_set],
    shell:
        "dmix data embed {params.name}"
