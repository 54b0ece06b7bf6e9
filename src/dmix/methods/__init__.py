"""Training methods: supervised, transfer and semi-supervised."""
