"""What every method shares: loop, evaluation, seeding, assembly; optimisers and schedules."""
