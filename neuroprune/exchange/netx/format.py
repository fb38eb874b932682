"""netx as an `ExchangeFormat`."""

from pathlib import Path

from neuroprune.arrays import FramesLike
from neuroprune.exchange.catalog import FORMATS
from neuroprune.exchange.format import ExchangeFormat, Programs, ReadProgram
from neuroprune.exchange.netx.inputs import spikes_as_they_are, stated_steps, stated_weight, values_that_drive
from neuroprune.exchange.netx.read import read_netx
from neuroprune.exchange.netx.write import write_netx
from neuroprune.fixed_point import IntegerRules


class Netx(ExchangeFormat):
    """lava-dl's format. Programs of neuroprune's files read float frames, those of lava-dl's whole numbers."""

    info = next(info for info in FORMATS if info.name == "netx")

    def write(self, programs: Programs, path: Path) -> tuple[str, ...]:
        """See `write_netx`."""
        return write_netx(programs.integers, path)

    def stated_steps(self, path: Path) -> int | None:
        """Files of lava-dl's state none."""
        return stated_steps(path)

    def read(
        self, path: Path, rules: IntegerRules, steps: int | None = None, frames: FramesLike | None = None
    ) -> ReadProgram:
        """See `read_netx`."""
        presented = None
        if frames is not None and self.stated_steps(path) is None:
            weight, sequence = stated_weight(path), len(frames.shape) == 5
            if weight is None:
                presented = spikes_as_they_are(frames, sequence, rules)
            else:
                presented = values_that_drive(frames, sequence, rules, weight)
        return read_netx(path, rules, steps, presented)


FORMAT = Netx()
