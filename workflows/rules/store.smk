# On request (`snakemake all stored`): as soon as a table's runs are finished, whatever is finished by then goes to
# DVC's store, so that a dead disk costs little of a run of weeks. DVC locks the checkout for itself, not against
# Snakemake, and one command at a time. The tier has to be kept in dvc.yaml (docs/results.md).
for table, digest in TABLES.items():

    rule:
        name:
            f"store_{table}"
        input:
            [
                f"{RUNS}/{GRID.folders[run]}/record.json"
                for run in GRID.table_runs(GRID.tables[table])
                if run in GRID.folders
            ],
        output:
            touch(f"{BUILD}/stored/{table}-{digest}"),
        localrule: True
        message:
            f"Store what is finished, now that the runs of {table} are"
        shell:
            "dvc --wait-for-lock commit --quiet --force train@{TIER} &&"
            " dvc --wait-for-lock push --quiet train@{TIER}"


rule stored:
    input:
        [f"{BUILD}/stored/{table}-{digest}" for table, digest in TABLES.items()],
