"""Which training images have labels: draws by rule or by generator, and lists that others published."""
