# Draw figures below a name with the digest of all their inputs, then copy them to their plain names, as tables.
for figure, digest in FIGURES.items():
    folder = f"{BUILD}/{figure}-{digest}"
    products = [f"{figure}.{ending}" for ending in ("png", "pdf", "csv", "tex", "json")]

    rule:
        name:
            f"draw_{figure}"
        input:
            [
                f"{RUNS}/{GRID.folders[run]}/record.json"
                for run in GRID.figure_runs(GRID.figures[figure])
                if run in GRID.folders
            ],
            evaluations_of(figure),
        output:
            report(
                f"{folder}/{products[0]}",
                caption="../report/figure.rst",
                category="Figures",
                labels={"figure": GRID.figures[figure].number},
            ),
            [f"{folder}/{product}" for product in products[1:]],
        retries: 0
        localrule: True
        params:
            figure=figure,
            folder=folder,
            title=GRID.figures[figure].title,
        message:
            "Draw {params.figure}"
        shell:
            "dmix figure {params.figure} --tier {TIER} --out {params.folder} > /dev/null"

    rule:
        name:
            f"publish_{figure}"
        input:
            [f"{folder}/{product}" for product in products],
        output:
            [f"paper_tables/{TIER}/{product}" for product in products],
            stamp=f"{PUBLISHED}/{figure}-{digest}",
        retries: 0
        localrule: True
        shell:
            "dmix publish {input} --to paper_tables/{TIER} --stamp {output.stamp} > /dev/null"


# Draw every figure, without copying to the plain names.
rule figures:
    input:
        [getattr(rules, f"draw_{figure}").output for figure in FIGURES],
