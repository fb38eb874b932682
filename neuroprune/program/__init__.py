"""The integer program: what a chip of the family computes, and what is proved of it."""
