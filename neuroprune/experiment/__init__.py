"""The laboratory: methods x targets x seeds x networks from a plan, run, compared and drawn."""
