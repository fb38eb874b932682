"""Importance scores: measures of neurons, scores of channels and of single weights."""
