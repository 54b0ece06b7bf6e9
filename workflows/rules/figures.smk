# Draw figures below a name with the digest of all their inputs, then copy them to their plain names, as tables.
for figure, digest in FIGURES.items():
    folder = f"{BUILD}/{figure}-{digest}"
    products = [f"{figure}.{ending}" for ending in ("pdf", "png", "csv", "tex", "json")]

    rule:
        name:
            f"draw_{figure}"
        input:
            [
                f"{RUNS}/{GRID.folders[run]}/record.json"
                for run in GRID.figure_runs(GRID.figures[figure])
                if run in GRID.folders
            ],
            mixed_of(figure),
        output:
            [f"{folder}/{product}" for product in products],
        retries: 0
        localrule: True
        params:
            figure=figure,
            folder=folder,
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
