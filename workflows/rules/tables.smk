# Render tables below a name with the digest of all their inputs, then copy them to their plain names. The
# stamp of the copy carries the digest, so going back to earlier settings publishes the earlier table again,
# in any checkout.
for table, digest in TABLES.items():
    folder = f"{BUILD}/{table}-{digest}"
    products = [f"{table}.{ending}" for ending in ("tex", "csv", "md", "txt")]
    products += [f"{table}_comparison.{ending}" for ending in ("tex", "csv", "md")]

    rule:
        name:
            f"render_{table}"
        input:
            [
                f"{RUNS}/{GRID.folders[run]}/record.json"
                for run in GRID.table_runs(GRID.tables[table])
                if run in GRID.folders
            ],
        output:
            [f"{folder}/{product}" for product in products],
        retries: 0
        localrule: True
        params:
            table=table,
            folder=folder,
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


# Render everything, without copying to the plain names.
rule tables:
    input:
        f"results/{TIER}/frame.csv",
        f"{PUBLISHED}/frame-{frame_digest(GRID)}",
        [getattr(rules, f"render_{table}").output for table in TABLES],
