"""Recipes and a user's own classes, built into SpikingJelly modules."""
