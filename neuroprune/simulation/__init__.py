"""Running the integer program: the exact engine, and Lava as its judge."""
