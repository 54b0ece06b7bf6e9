"""Offers `executor: dmix-slurm` to Snakemake, which finds executors by the names of packages.

It is snakemake-executor-plugin-slurm with `dmix.slurm.executor`, and has the same settings.
"""

from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings

from dmix.slurm.executor import Executor

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
