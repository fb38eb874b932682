"""From what the last neurons did to one score a class."""

from typing import Any, TypeVar

import numpy.typing as npt
import torch

from neuroprune.graph.nodes import Readout

Outputs = TypeVar("Outputs", npt.NDArray[Any], torch.Tensor)


def class_scores(readout: Readout, outputs: Outputs) -> Outputs:
    """Scores [samples, classes] of outputs [samples, outputs], spikes or voltages: the mean of each class's votes.

    They come in the unit of the outputs: the steps and the scale of voltages, the same for all classes, change no
    ranking.
    """
    scores: Outputs = outputs.reshape(len(outputs), -1, readout.votes).mean(-1)
    return scores
