# One document of all tables and figures, and its PDF where LaTeX is, below a name with the digest of all their
# inputs; then copied to its plain name, as tables.
PAPER_FOLDER = f"{BUILD}/paper-{PAPER}"


rule typeset:
    input:
        [
            f"{PUBLISHED}/{name}-{digest}"
            for name, digest in (TABLES | SETTINGS | FIGURES).items()
        ],
        f"{PUBLISHED}/ledger-{LEDGER}",
        f"{PUBLISHED}/claims-{CLAIMS}",
        f"{PUBLISHED}/frame-{FRAME}",
    output:
        [f"{PAPER_FOLDER}/{file}" for file in PAPER_FILES],
    retries: 0
    localrule: True
    params:
        folder=PAPER_FOLDER,
    message:
        "Typeset the paper"
    shell:
        "dmix paper --tier {TIER} --out {params.folder} > /dev/null"


rule publish_paper:
    input:
        [f"{PAPER_FOLDER}/{file}" for file in PAPER_FILES],
    output:
        [f"paper_tables/{TIER}/{file}" for file in PAPER_FILES],
        stamp=f"{PUBLISHED}/paper-{PAPER}",
    retries: 0
    localrule: True
    shell:
        "dmix publish {input} --to paper_tables/{TIER} --stamp {output.stamp} > /dev/null"
