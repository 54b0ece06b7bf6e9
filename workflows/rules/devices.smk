# Devices of one machine that its runs share: settings of profile gpus (docs/gpus.md). Without them, a run takes what
# torch sees, or what SLURM gives it. Snakemake starts as many runs as there is room for. Which device a run has is
# decided by a lease in the run's own process (dmix.devices.leases): Snakemake counts, and names nothing.
try:
    SERVER = read_server(config, GRID, workflow.resource_settings.cores or 1, tell)
except DmixError as error:
    raise WorkflowError(str(error)) from None

if SERVER:
    workflow.register_resource("device", SERVER.capacity)


# The run of a job; a class relation is none, and shares no device.
def on_device(wildcards):
    name = wildcards.folder.rsplit("-", 2)[0]
    return name if name in GRID.runs else wildcards.folder


# How much of all devices a job takes, where there is a server.
def device_units(wildcards, processes=1):
    return SERVER.needed(on_device(wildcards), processes)


# Options that lease a device.
def lease(wildcards):
    return SERVER.lease(on_device(wildcards)) if SERVER else ""


# And those of a job on images, whose readers share the cores.
def lease_and_workers(wildcards):
    return (
        f"{lease(wildcards)} {SERVER.workers(on_device(wildcards))}" if SERVER else ""
    )


def cores_here(wildcards, spec):
    return (
        min(cores(spec), SERVER.share(on_device(wildcards))) if SERVER else cores(spec)
    )
