"""Plots of an experiment, with matplotlib; each is made where there is data for it."""
