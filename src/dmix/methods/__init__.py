"""What happens in one step: supervised, transfer, semi-supervised."""
