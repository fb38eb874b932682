"""The DYNAP-CNN family, of which Speck is one: unequal cores, each of which computes one convolution layer."""
