"""The neuron models that there are, without torch: what help, errors and documentation name."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuroprune.neurons.model import NeuronModel


@dataclass(frozen=True)
class NeuronInfo:
    """classes: full names of the modules' classes that are read as such neurons. module: where its `MODEL` is."""

    name: str
    title: str
    classes: tuple[str, ...]
    module: str

    @property
    def class_names(self) -> tuple[str, ...]:
        """As users write them."""
        return tuple(path.rpartition(".")[2] for path in self.classes)


_SPIKINGJELLY = "spikingjelly.activation_based"

CUBA_LIF = NeuronInfo(
    "cuba-lif",
    "leaky integrate-and-fire, with a current of its own or without; reset to 0 or by subtraction",
    (
        f"{_SPIKINGJELLY}.neuron.lif.LIFNode",
        f"{_SPIKINGJELLY}.neuron.integrate_and_fire.IFNode",
        f"{_SPIKINGJELLY}.neuron.plif.ParametricLIFNode",
        f"{_SPIKINGJELLY}.neuron.lif.SimpleLIFNode",
        f"{_SPIKINGJELLY}.neuron.integrate_and_fire.SimpleIFNode",
        f"{_SPIKINGJELLY}.lava_exchange.CubaLIFNode",
    ),
    "neuroprune.neurons.cuba_lif",
)

NEURON_MODELS = (CUBA_LIF,)


def neuron_models() -> "tuple[NeuronModel, ...]":
    """The models themselves, which need torch."""
    return tuple(import_module(info.module).MODEL for info in NEURON_MODELS)
