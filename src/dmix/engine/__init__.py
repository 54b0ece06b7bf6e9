"""What every task shares: loop, schedule, evaluation, seeding, assembly."""
