# Write the page below a name with the digest of all that it shows, then copy it to its plain name, as tables.
# Beside it, each table alone as HTML, which Snakemake's own report (snakemake --report) shows.
rule page:
    input:
        f"{PUBLISHED}/frame-{FRAME}",
        f"{PUBLISHED}/claims-{CLAIMS}",
        [f"{PUBLISHED}/{table}-{digest}" for table, digest in TABLES.items()],
        [f"{PUBLISHED}/{figure}-{digest}" for figure, digest in FIGURES.items()],
    output:
        index=f"{BUILD}/page-{PAGE}/index.html",
        tables=[
            report(
                f"{BUILD}/page-{PAGE}/{table}.html",
                caption="../report/table.rst",
                category="Tables",
                labels={
                    "table": GRID.tables[table].number,
                    "shows": GRID.tables[table].title,
                },
            )
            for table in TABLES
        ],
    retries: 0
    localrule: True
    params:
        folder=f"{BUILD}/page-{PAGE}",
        note=GRID.params.tiers[TIER].note,
    message:
        "Write the page"
    shell:
        "dmix page --tier {TIER} --out {params.folder} > /dev/null"


rule publish_page:
    input:
        rules.page.output.index,
    output:
        f"results/{TIER}/report/index.html",
        stamp=f"{PUBLISHED}/page-{PAGE}",
    retries: 0
    localrule: True
    shell:
        "dmix publish {input} --to results/{TIER}/report --stamp {output.stamp} > /dev/null"


# With a run that failed there is no frame, and so no such job: the page that says why is written all the same.
onerror:
    shell("dmix page --tier {TIER} > /dev/null")
