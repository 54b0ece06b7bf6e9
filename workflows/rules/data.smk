# Write embedded editions before the first job, if they are missing or damaged; `dmix data` gets real data.
# They are not the output of a rule, because Snakemake reruns jobs whose input another job has just made: a
# fresh clone with pulled records would train everything again.
EMBEDDED = list(GRID.embedded)


onstart:
    if EMBEDDED:
        shell("dmix data embed {EMBEDDED} > /dev/null")
