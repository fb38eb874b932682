"""How strong a constant force on weights must be to be felt in a training of so many iterations."""

from neuroprune.training.observer import TrainingRun

STRONGEST = 0.5
"""An empirical constant. Adam moves a parameter whose gradient always points the same way by the learning rate, so a
force of more than 1 would take every weight to 0, whatever its gradient."""


def summed_rate(run: TrainingRun, epochs: int) -> float:
    """The learning rates of all iterations of the first `epochs` epochs, added up."""
    steps = run.iterations_per_epoch
    return sum(run.settings.learning_rate(epoch, index / steps) for epoch in range(epochs) for index in range(steps))


def strength(pull: float, summed: float) -> float:
    """That of the force which alone takes a parameter as far as `pull` while the learning rates add up to `summed`.

    So a force that published work used in a long training does in a short one what it did there, but for `STRONGEST`.
    """
    return min(pull / summed, STRONGEST)
