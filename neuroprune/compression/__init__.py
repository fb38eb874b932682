"""Pruning: scores of channels, the choice of what stays, and surgery on modules."""
