"""Submits and follows the workflow's jobs on SLURM: what the Snakemake plugin for SLURM leaves open."""
