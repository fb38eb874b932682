"""The catalogue of neuron models, without torch: what help, errors and documentation name."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuroprune.neurons.model import NeuronModel


@dataclass(frozen=True)
class NeuronInfo:
    """A neuron model. classes: full names of the classes that are read as such neurons. module: that of its `MODEL`."""

    name: str
    title: str
    classes: tuple[str, ...]
    module: str

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes without the names of their modules."""
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
        f"{_SPIKINGJELLY}.neuron.lif_variants.CUBALIFNode",
        f"{_SPIKINGJELLY}.lava_exchange.CubaLIFNode",
    ),
    "neuroprune.neurons.cuba_lif",
)

NEURON_MODELS = (CUBA_LIF,)


def neuron_models() -> "tuple[NeuronModel, ...]":
    """The neuron models that layers are read as, each a `NeuronModel`.

    >>> from neuroprune import neuron_models
    >>> [model.name for model in neuron_models()]
    ['cuba-lif']
    """
    return tuple(import_module(info.module).MODEL for info in NEURON_MODELS)
