"""The Loihi family: cores of compartments, axons and synapse memory, counted as nengo-loihi counts Loihi 1."""
