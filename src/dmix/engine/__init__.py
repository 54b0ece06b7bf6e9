"""What all methods share: training loop, evaluation, seeding, assembly, optimisers and schedules."""
