# Write the data frame of the tier, one line per run.
rule collect:
    input:
        [f"{RUNS}/{folder}/record.json" for folder in GRID.folders.values()],
    output:
        frame=f"results/{TIER}/frame.csv",
        stamp=f"{PUBLISHED}/frame-{FRAME}",
    retries: 0
    localrule: True
    params:
        build=f"{BUILD}/frame-{FRAME}",
    shell:
        "dmix collect --tier {TIER} --out {params.build}/frame.csv > /dev/null &&"
        " dmix publish {params.build}/frame.csv --to results/{TIER} --stamp {output.stamp} > /dev/null"


# Small files for `dvc metrics` and `dvc plots`.
SUMMARY_FILES = ["metrics.json", "scores.csv", "curves.csv"]


rule summary:
    input:
        rules.collect.output.stamp,
        [path for figure in FIGURES for path in evaluations_of(figure)],
    output:
        [f"results/{TIER}/summary/{file}" for file in SUMMARY_FILES],
        stamp=f"{PUBLISHED}/summary-{SUMMARY}",
    retries: 0
    localrule: True
    params:
        build=f"{BUILD}/summary-{SUMMARY}",
        built=[f"{BUILD}/summary-{SUMMARY}/{file}" for file in SUMMARY_FILES],
    shell:
        "dmix summary --tier {TIER} --out {params.build} > /dev/null &&"
        " dmix publish {params.built} --to results/{TIER}/summary --stamp {output.stamp} > /dev/null"
