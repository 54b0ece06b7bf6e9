"""What the transfer-learning methods are made of (the paper, section 4.2): pure functions and one queue."""
