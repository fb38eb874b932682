"""Learning rates over the epochs of a training."""

from neuroprune.training.observer import TrainingRun


def summed_rate(run: TrainingRun, epochs: int) -> float:
    """The learning rates of all iterations of the first `epochs` epochs, added up.

    A force of constant strength moves a parameter by that strength times this sum, so what a force did in one training
    it does in a shorter one where it is stronger in proportion.
    """
    steps = run.iterations_per_epoch
    return sum(run.settings.learning_rate(epoch, index / steps) for epoch in range(epochs) for index in range(steps))
