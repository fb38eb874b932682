"""Every error that a user can cause or meet, with its exit code.

    NeuropruneError
    ├── InputError          2   what the user gave or the machine cannot take: files, options, data, a full disk
    │   ├── UnsupportedNetwork  a network with layers that cannot be mapped; all of them are listed at once
    │   └── OutputError         a result that could not be written; what stood there before still stands
    ├── CapacityError       3   what the chip cannot hold
    ├── VerificationError   4   a check between two levels failed, or could not be carried out
    │   ├── LavaError           Lava is missing, failed or did not answer in time
    │   └── UnverifiedDeployment    a whole deployment that Lava failed or differs from (in neuroprune.deployment)
    └── TrialsFailed        5   an experiment some of whose trials failed

A message is one sentence: the object, its value, the limit, and the remedy. Only the command line renders errors;
`assert` is for mistakes of neuroprune itself.
"""

from collections.abc import Sequence


class NeuropruneError(Exception):
    """Root of the tree; its subclasses carry the process exit code."""

    exit_code: int = 1


class InputError(NeuropruneError):
    """The user's input, or the machine it lies on, cannot be used as it is."""

    exit_code = 2


class UnsupportedNetwork(InputError):
    """A network with parts that have no counterpart on the chip.

    `problems` holds one sentence for each part: layer name, reason, remedy.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = f"{len(self.problems)} part{'s' if len(self.problems) != 1 else ''}"
        super().__init__(f"the network has {count} that cannot be mapped: " + "; ".join(self.problems))


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
