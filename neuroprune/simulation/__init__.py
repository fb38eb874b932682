"""Running the integer program: the exact engine, and Lava to verify it against."""
