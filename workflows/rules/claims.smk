# Judge the paper's claims below a name with the digest of all that the verdicts depend on, then copy the files to
# their plain names, as tables. Claims read those evaluations that figures show and others that are there, and ask
# for no more.
CLAIM_PRODUCTS = [f"claims{suffix}" for suffix in (".csv", ".md", ".tex")]


rule claims:
    input:
        f"{PUBLISHED}/frame-{FRAME}",
        [path for figure in FIGURES for path in evaluations_of(figure)],
        [
            path
            for kind in kinds()
            if (RUNS / kind).exists()  # a look for 10,000 runs takes time
            for run in runs_of(GRID, kind)
            for path in (evaluation_of(run, kind),)
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
