"""Chips as data: how many cores of which family, what a core has, and what a tile of neurons takes of it."""
