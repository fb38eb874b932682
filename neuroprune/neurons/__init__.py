"""Neuron models: one folder or file each, of one protocol; see neuroprune/neurons/model.py."""
