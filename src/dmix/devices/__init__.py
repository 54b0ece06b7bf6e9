"""Devices of one machine: finding them, leasing them to jobs, sharing them by several runs."""
