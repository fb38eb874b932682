"""Data sets as frames in memory."""
