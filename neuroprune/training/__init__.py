"""Training: settings, the loop, checkpoints that are data."""
