"""The settings of `compress`."""

from dataclasses import dataclass

from neuroprune.choices import check_choice
from neuroprune.compression.catalog import METHODS, Method
from neuroprune.errors import InputError
from neuroprune.training.settings import TrainSettings


@dataclass(frozen=True)
class CompressSettings:
    """Structured pruning to a share of the operations, then fine-tuning.

    flops: the share of the dense network's FLOPs that remains, above 0 and below 1.
    method: "criticality" (Algorithm 2 of "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural
    Networks") or "slimming" (Liu et al. 2017), which is the same with r = 0.
    regeneration: r, the share of the surviving channels that is chosen by criticality instead of |gamma|, in [0, 1).
    The default is that paper's for VGG-16 at 44 % fewer FLOPs, the plain network of convolutions nearest to ours.
    fine_tune: how the slimmed network is trained on, without L1 on its scales; None leaves it as it was cut.

    Raises InputError for values out of range.
    """

    flops: float
    method: Method = "criticality"
    regeneration: float = 0.1
    fine_tune: TrainSettings | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.flops < 1.0:
            raise InputError(
                f"a share of {self.flops} of the FLOPs cannot remain after pruning: it must lie above 0 and below 1, "
                "such as 0.5"
            )
        check_choice("pruning method", self.method, METHODS)
        if not 0.0 <= self.regeneration < 1.0:
            raise InputError(
                f"a share of {self.regeneration} of the surviving channels cannot be regenerated: it must be at least "
                "0 and below 1, such as 0.1"
            )

    @property
    def r(self) -> float:
        """The regeneration rate that the method uses."""
        return self.regeneration if self.method == "criticality" else 0.0
