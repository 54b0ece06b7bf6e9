"""From params.yaml to runs. No torch."""
