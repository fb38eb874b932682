"""How long the mapper searches, without torch."""

from typing import Literal, NamedTuple

from neuroprune.choices import Choice, check_choice

EffortName = Literal["layers", "normal", "high"]


class Effort(NamedTuple):
    """One level. trials: ways to cut the whole network that are tried after the one that cuts layer by layer.

    patience: trials without fewer cores, and as many again as there are cores, after which the search ends.
    """

    choice: Choice
    trials: int
    patience: int

    @property
    def name(self) -> str:
        """As options and reports call it."""
        return self.choice.name


EFFORTS = (
    Effort(Choice("layers", "each layer is cut by itself"), 0, 0),
    Effort(Choice("normal", "all layers are cut together, for up to a minute"), 1_200, 250),
    Effort(Choice("high", "the same for minutes"), 20_000, 6_000),
)
"""From the quickest to the most thorough."""


def effort_of(name: EffortName) -> Effort:
    """The level of that name. Raises InputError for another."""
    check_choice("effort", name, EFFORTS)
    return next(each for each in EFFORTS if each.name == name)
