"""The paper's claims as data, and what the runs of a tier say of each."""
