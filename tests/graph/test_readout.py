"""Votes become scores, whatever the array."""

import numpy as np
import torch

from neuroprune.graph.nodes import Readout
from neuroprune.graph.readout import class_scores


def test_neighbouring_outputs_vote_for_one_class() -> None:
    outputs = np.array([[1, 2, 3, 6, 0, 1], [0, 0, 4, 4, 2, 0]])
    expected = [[1.5, 4.5, 0.5], [0.0, 4.0, 1.0]]
    assert class_scores(Readout(votes=2), outputs).tolist() == expected
    assert class_scores(Readout(votes=2), torch.tensor(outputs).float()).tolist() == expected


def test_one_output_a_class_is_its_score() -> None:
    outputs = np.array([[-5, 7], [3, 2]])
    np.testing.assert_array_equal(class_scores(Readout("voltage"), outputs), outputs)
