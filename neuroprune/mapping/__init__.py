"""From the integer program to tiles of neurons on cores."""
