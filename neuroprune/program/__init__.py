"""The integer program: its types, its timing on a chip, and the bounds that are proved of it."""
