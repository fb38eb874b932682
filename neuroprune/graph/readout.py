"""From the output of the last neurons to scores, and from scores to accuracy."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from neuroprune.arrays import Labels
from neuroprune.graph.nodes import Readout

Outputs = TypeVar("Outputs", npt.NDArray[Any], torch.Tensor)


def class_scores(readout: Readout, outputs: Outputs) -> Outputs:
    """Scores [samples, classes] of outputs [samples, outputs], spikes or voltages: the mean of each class's votes.

    They are in the unit of the outputs: dividing by the steps or by the scale of voltages, equal for all classes, would
    not change their ranking.

    >>> import numpy as np
    >>> from neuroprune import Readout, class_scores
    >>> spikes = np.array([[4, 2, 0, 1]])  # of 4 outputs, of which 2 vote for each of 2 classes
    >>> class_scores(Readout(votes=2), spikes)
    array([[3. , 0.5]])
    """
    scores: Outputs = outputs.reshape(len(outputs), -1, readout.votes).mean(-1)
    return scores


def accuracy(scores: npt.NDArray[np.floating[Any]], labels: Labels) -> float:
    """Share of samples whose largest score is their label; the first of equal scores counts as the largest.

    >>> import numpy as np
    >>> from neuroprune import accuracy
    >>> scores = np.array([[0.1, 0.7], [0.6, 0.2], [0.3, 0.4]])
    >>> round(accuracy(scores, np.array([1, 0, 0])), 2)
    0.67
    """
    return float(np.mean(is_correct(scores, labels)))


def is_correct(scores: npt.NDArray[np.floating[Any]], labels: Labels) -> npt.NDArray[np.bool_]:
    """For each sample whether its largest score, the first of equals, is its label: bool [samples]."""
    correct: npt.NDArray[np.bool_] = scores.argmax(axis=1) == labels
    return correct


def most_frequent(labels: Labels) -> float:
    """The share of the most frequent class: the accuracy of always answering it."""
    return float(np.bincount(labels).max()) / len(labels)
