"""How long the mapper searches, without torch."""

from typing import NamedTuple

from neuroprune.choices import Choice, check_choice


class Effort(NamedTuple):
    """One level. trials: ways to cut the whole network that are tried after the one that cuts layer by layer."""

    choice: Choice
    trials: int

    @property
    def name(self) -> str:
        """As options and reports call it."""
        return self.choice.name


EFFORTS = (
    Effort(Choice("layers", "each layer cut by itself"), 0),
    Effort(Choice("normal", "all layers cut together"), 1_200),
    Effort(Choice("high", "the same for minutes"), 20_000),
)
"""From the quickest to the most thorough."""


def effort_of(name: str) -> Effort:
    """The level of that name. Raises InputError for another."""
    check_choice("effort", name, EFFORTS)
    return next(each for each in EFFORTS if each.name == name)
