"""Neuron models: one folder or file each, behind one protocol; see neuroprune/neurons/model.py."""
