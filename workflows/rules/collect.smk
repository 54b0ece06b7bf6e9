# Write the data frame of the tier, one line per run.
rule collect:
    input:
        [f"{RUNS}/{folder}/record.json" for folder in GRID.folders.values()],
    output:
        frame=f"results/{TIER}/frame.csv",
        stamp=f"{PUBLISHED}/frame-{frame_digest(GRID)}",
    retries: 0
    localrule: True
    params:
        build=f"{BUILD}/frame-{frame_digest(GRID)}",
    shell:
        "dmix collect --tier {TIER} --out {params.build}/frame.csv > /dev/null &&"
        " dmix publish {params.build}/frame.csv --to results/{TIER} --stamp {output.stamp} > /dev/null"
