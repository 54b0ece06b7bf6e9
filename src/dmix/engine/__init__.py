"""What every method shares: loop, schedule, evaluation, seeding, assembly."""
