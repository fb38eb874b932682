"""Every error that a user can cause or meet, with its exit code.

    NeuropruneError
    ├── InputError          2   what the user gave or the machine cannot take: files, options, data, a full disk
    │   ├── UnsupportedNetwork  a network with layers that cannot be mapped; all of them are listed at once
    │   └── OutputError         a result that could not be written; what stood there before still stands
    ├── CapacityError       3   what the chip cannot hold
    ├── VerificationError   4   a check between two levels failed, or could not be carried out
    │   ├── LavaError           Lava is missing, failed or did not answer in time
    │   └── UnverifiedDeployment    a whole deployment that Lava failed or differs from (in neuroprune.deployment)
    ├── TrialsFailed        5   an experiment some of whose trials failed
    └── GateFailed          5   a report with figures that `--fail-if` does not let pass

A message is one sentence: the object, its value, the limit, and the remedy. Only the command line renders errors;
`assert` is for mistakes of neuroprune itself.
"""

import re
from collections.abc import Sequence


class NeuropruneError(Exception):
    """Root of the tree; its subclasses carry the process exit code."""

    exit_code: int = 1


class InputError(NeuropruneError):
    """The user's input, or the machine it lies on, cannot be used as it is."""

    exit_code = 2


class UnsupportedNetwork(InputError):
    """A network with parts that have no counterpart on the chip.

    `problems` holds one sentence for each part: layer name, reason, remedy. The last `consequences` of them are there
    only because of the others. The message has parts of one reason together, and is a screen at most.
    """

    def __init__(self, problems: Sequence[str], consequences: int = 0) -> None:
        self.problems = tuple(problems)
        self.consequences = consequences
        causes = self.problems[: len(self.problems) - consequences]
        self.causes = grouped(causes)
        count = f"{len(causes)} part{'s' if len(causes) != 1 else ''}"
        shown = list(self.causes[:MOST_CAUSES])
        if len(self.causes) > MOST_CAUSES:
            shown.append(f"and {len(self.causes) - MOST_CAUSES} other reasons")
        if consequences:
            shown.append(f"and {consequences} that follow{'s' if consequences == 1 else ''} from this")
        super().__init__(f"the network has {count} that cannot be mapped: " + "; ".join(shown))


MOST_CAUSES, MOST_NAMES = 8, 4
"""Reasons that one message gives, and parts that it names for each."""

_PART = re.compile(
    r"(?P<kind>layer|operation) (?P<name>[^:]+?)(?P<of> on the output of [^:]+)?: (?P<reason>.*)", re.DOTALL
)


def grouped(problems: Sequence[str]) -> tuple[str, ...]:
    """The sentences of `problems`, one for all parts that have the same reason.

    >>> from neuroprune.errors import grouped
    >>> grouped(["layer a: it is odd", "layer b: it is even", "layer c: it is odd"])
    ('layers a, c: it is odd', 'layer b: it is even')
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        part = _PART.fullmatch(problem)
        if part is None:
            groups.setdefault(("", problem), [])
        else:
            groups.setdefault((part["kind"], part["reason"]), []).append(part["name"] + (part["of"] or ""))
    return tuple(_sentence(kind, reason, names) for (kind, reason), names in groups.items())


def _sentence(kind: str, reason: str, names: Sequence[str]) -> str:
    if not kind:
        return reason
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names[:MOST_NAMES])}{more}: {reason}"


class OutputError(InputError):
    """A file could not be written whole; nothing half-written was left in its place."""


class CapacityError(NeuropruneError):
    """The chip cannot hold what it was given."""

    exit_code = 3


class VerificationError(NeuropruneError):
    """Two levels that must agree do not, or the check could not be carried out."""

    exit_code = 4


class LavaError(VerificationError):
    """Lava is not installed, failed, or did not answer within its time limit."""


class TrialsFailed(NeuropruneError):
    """Some trials of an experiment failed; the results of the others are kept."""

    exit_code = 5


class GateFailed(NeuropruneError):
    """A deployment is whole, but figures of its report fail `--fail-if`; `failures` has a sentence for each."""

    exit_code = 5

    def __init__(self, failures: Sequence[str]) -> None:
        self.failures = tuple(failures)
        super().__init__("; ".join(failures))
