"""What every task shares: loop, evaluation, seeding, assembly; optimisers and schedules."""
