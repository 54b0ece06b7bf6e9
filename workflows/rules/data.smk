# Data sets. The genuine ones are got by `dmix data`; the embedded editions are written here, before
# the first job, and again only where they are missing or damaged. They are no rule's output on purpose:
# an input that another job has just made makes every run that reads it run again, and in a fresh clone
# with pulled records that would retrain them all.
EMBEDDED = list(GRID.embedded)


onstart:
    if EMBEDDED:
        shell("dmix data embed {EMBEDDED} > /dev/null")
