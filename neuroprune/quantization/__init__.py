"""From the folded float program to the chip's integers."""
