"""Which training images have labels: drawn by a rule or a generator, or read from published lists."""
