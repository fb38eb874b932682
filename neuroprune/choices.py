"""Catalogues: what there is to choose from, by name. Options, error sentences and documentation are made from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from neuroprune.errors import InputError


@dataclass(frozen=True)
class Choice:
    """One of several things that a person names. title: what it is, in a line; source: where it was published."""

    name: str
    title: str
    source: str = ""


class Named(Protocol):
    """What a catalogue may hold."""

    @property
    def name(self) -> str:
        """What a person calls it."""


def names(catalogue: Iterable[Named]) -> tuple[str, ...]:
    """The names in `catalogue`, in its order."""
    return tuple(entry.name for entry in catalogue)


def check_choice(what: str, name: str, catalogue: Iterable[Named]) -> None:
    """Raise InputError unless `name` is in `catalogue`, which holds every `what` there is."""
    known = names(catalogue)
    if name not in known:
        raise InputError(f"there is no {what} {name!r}: choose one of {', '.join(known)}")
