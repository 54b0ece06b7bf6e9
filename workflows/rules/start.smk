# What is done before the first job.
# Embedded editions are written here if they are missing or damaged; `dmix data` gets real data. They are not the output
# of a rule, because Snakemake reruns jobs whose input another job has just made: a fresh clone with pulled records would
# train everything again.
EMBEDDED = list(GRID.embedded)


onstart:
    if workflow.resource_settings.cores:
        # As many jobs run as there is room for, so their rate needs no limit. Snakemake's limit starts a timer after
        # every look at the open jobs: it makes the driver look again, and keeps it alive after the last job.
        workflow.scheduler.job_rate_limiter = None
    if EMBEDDED:
        shell("dmix data embed {EMBEDDED} > /dev/null")
