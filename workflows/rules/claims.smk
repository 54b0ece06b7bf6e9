# Judge the paper's claims below a name with the digest of all that the verdicts depend on, then copy the files to
# their plain names, as tables. Claims read those evaluations on mixed images that figures
# show and those of confidence that are there, and ask for no others.
CLAIM_PRODUCTS = [f"claims{suffix}" for suffix in (".csv", ".md", ".tex")]


rule claims:
    input:
        f"{PUBLISHED}/frame-{frame_digest(GRID)}",
        [path for figure in FIGURES for path in mixed_of(figure)],
        [
            path
            for run in confidence_runs(GRID)
            for path in (confidence_of(GRID.folders[run]),)
            if Path(path).exists()
        ],
    output:
        [f"{BUILD}/claims-{CLAIMS}/{product}" for product in CLAIM_PRODUCTS],
    retries: 0
    localrule: True
    params:
        folder=f"{BUILD}/claims-{CLAIMS}",
    message:
        "Judge the claims"
    shell:
        "dmix claims --tier {TIER} --out {params.folder} > /dev/null"


rule publish_claims:
    input:
        rules.claims.output,
    output:
        [f"paper_tables/{TIER}/{product}" for product in CLAIM_PRODUCTS],
        stamp=f"{PUBLISHED}/claims-{CLAIMS}",
    retries: 0
    localrule: True
    shell:
        "dmix publish {input} --to paper_tables/{TIER} --stamp {output.stamp} > /dev/null"
