# Render tables below a name with the digest of all their inputs, then copy them to their plain names. The
# stamp of the copy carries the digest, so going back to earlier settings publishes the earlier table again,
# in any checkout.
PAPER_PRODUCTS = (".tex", "_body.tex", ".csv", ".md", ".txt")
TABLE_PRODUCTS = (
    *PAPER_PRODUCTS,
    *(f"_beside.{ending}" for ending in ("tex", "csv", "md", "txt")),
    *(f"_comparison.{ending}" for ending in ("csv", "md", "tex")),
    "_numbers.tex",
)

for table, digest in (TABLES | SETTINGS).items():
    folder = f"{BUILD}/{table}-{digest}"
    products = [
        f"{table}{suffix}"
        for suffix in (TABLE_PRODUCTS if table in TABLES else PAPER_PRODUCTS)
    ]
    runs = GRID.table_runs(GRID.tables[table]) if table in TABLES else ()

    rule:
        name:
            f"render_{table}"
        input:
            [
                f"{RUNS}/{GRID.folders[run]}/record.json"
                for run in runs
                if run in GRID.folders
            ],
        output:
            [f"{folder}/{product}" for product in products],
        retries: 0
        localrule: True
        params:
            table=table,
            folder=folder,
        message:
            "Render {params.table}"
        shell:
            "dmix table {params.table} --tier {TIER} --out {params.folder} > /dev/null"

    rule:
        name:
            f"publish_{table}"
        input:
            [f"{folder}/{product}" for product in products],
        output:
            [f"paper_tables/{TIER}/{product}" for product in products],
            stamp=f"{PUBLISHED}/{table}-{digest}",
        retries: 0
        localrule: True
        shell:
            "dmix publish {input} --to paper_tables/{TIER} --stamp {output.stamp} > /dev/null"


# All numbers of the tier as LaTeX macros, for prose.
rule numbers:
    input:
        [
            f"{BUILD}/{table}-{digest}/{table}_numbers.tex"
            for table, digest in TABLES.items()
        ],
    output:
        numbers=f"paper_tables/{TIER}/numbers.tex",
        stamp=f"{PUBLISHED}/numbers-{NUMBERS}",
    retries: 0
    localrule: True
    params:
        build=f"{BUILD}/numbers-{NUMBERS}",
    shell:
        "mkdir -p {params.build} && cat /dev/null {input} > {params.build}/numbers.tex &&"
        " dmix publish {params.build}/numbers.tex --to paper_tables/{TIER} --stamp {output.stamp} > /dev/null"


# The ledger of deviations, to which letters below tables refer.
rule ledger:
    output:
        ledger=f"paper_tables/{TIER}/ledger.tex",
        stamp=f"{PUBLISHED}/ledger-{LEDGER}",
    retries: 0
    localrule: True
    params:
        build=f"{BUILD}/ledger-{LEDGER}",
    shell:
        "dmix ledger --tier {TIER} --out {params.build} > /dev/null &&"
        " dmix publish {params.build}/ledger.tex --to paper_tables/{TIER} --stamp {output.stamp} > /dev/null"


# Render everything, without copying to the plain names.
rule tables:
    input:
        f"results/{TIER}/frame.csv",
        f"{PUBLISHED}/frame-{FRAME}",
        [getattr(rules, f"render_{table}").output for table in TABLES | SETTINGS],
