"""Catalogues of what users can choose by name; options, error sentences and documentation are made from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from neuroprune.errors import InputError
from neuroprune.excerpts import excerpt


@dataclass(frozen=True)
class Choice:
    """An entry of a catalogue. title: what it is, in one line; source: where it was published."""

    name: str
    title: str
    source: str = ""


class Named(Protocol):
    """Anything that a catalogue may hold."""

    @property
    def name(self) -> str:
        """The name that users choose it by."""


def names(catalogue: Iterable[Named]) -> tuple[str, ...]:
    """The names in `catalogue`, in its order."""
    return tuple(entry.name for entry in catalogue)


def check_choice(what: str, name: str, catalogue: Iterable[Named]) -> None:
    """Raise InputError unless `name` is in `catalogue`, which holds every `what` there is."""
    known = names(catalogue)
    if name not in known:
        raise InputError(f"there is no {what} {excerpt(name)}: choose one of {', '.join(known)}")
