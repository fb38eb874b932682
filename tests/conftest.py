"""Settings that all tests share."""

from hypothesis import settings

# Machines differ in speed: a promise about results must not fail on a slow one.
settings.register_profile("neuroprune", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("neuroprune")
