"""The catalogue of layers and operations of networks, without torch: what errors and documentation name."""

from dataclasses import dataclass

from neuroprune.neurons.catalog import NEURON_MODELS

_SPIKINGJELLY = "spikingjelly.activation_based.layer"


@dataclass(frozen=True)
class LayerInfo:
    """A kind of layer. name: of its reader in graph/read.py. classes: full names of the classes that are read so.

    part: its row in the table of supported parts; note: what is supported of it, in Markdown.
    """

    name: str
    classes: tuple[str, ...]
    part: str
    note: str = ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """As users write them, each once."""
        return tuple(dict.fromkeys(path.rpartition(".")[2] for path in self.classes))


def _both(*names: str) -> tuple[str, ...]:
    """torch's and SpikingJelly's classes of the same name."""
    return tuple(f"{package}.{name}" for name in names for package in ("torch.nn", _SPIKINGJELLY))


LAYERS = (
    LayerInfo(
        "conv",
        (*_both("Conv2d"), f"{_SPIKINGJELLY}.WSConv2d"),
        "synapses",
        "with any kernel, stride, padding, dilation and groups",
    ),
    LayerInfo("conv over time", _both("Conv3d"), "synapses", "whose kernel is 1 along the time"),
    LayerInfo("transposed conv", _both("ConvTranspose2d"), "synapses", "likewise"),
    LayerInfo("linear", (*_both("Linear"), f"{_SPIKINGJELLY}.WSLinear"), "synapses"),
    LayerInfo(
        "batch norm",
        (
            *_both("BatchNorm1d", "BatchNorm2d", "BatchNorm3d"),
            f"{_SPIKINGJELLY}.ThresholdDependentBatchNorm1d",
            f"{_SPIKINGJELLY}.ThresholdDependentBatchNorm2d",
        ),
        "synapses",
        "with running statistics",
    ),
    LayerInfo("average pool", _both("AvgPool2d", "AvgPool3d"), "pools"),
    LayerInfo(
        "adaptive pool",
        _both("AdaptiveAvgPool2d", "AdaptiveAvgPool3d"),
        "pools",
        "to a size that divides its input, or to any in front of a `Linear`",
    ),
    LayerInfo("maximum pool", _both("MaxPool2d", "MaxPool3d"), "pools", "on spikes and sums of spikes"),
    LayerInfo("upsampling", _both("Upsample"), "views", "of mode `nearest` by whole factors"),
    LayerInfo("pixel shuffle", ("torch.nn.PixelShuffle",), "views"),
    LayerInfo("flatten", _both("Flatten"), "views"),
    LayerInfo("selection", ("neuroprune.selection.ChannelSelection",), "views"),
)

PARTS = ("synapses", "neurons", "pools", "views", "branches", "readout")
"""Rows of the table of supported parts."""

IGNORED = ("Dropout", "Dropout2d", "Identity")
"""Layers that do nothing in evaluation."""

REFUSED = {
    **dict.fromkeys(
        ("GroupNorm", "LayerNorm", "InstanceNorm2d", "RMSNorm"),
        "it normalises by the values of each sample, which no chip computes; use a BatchNorm and train again",
    ),
    **dict.fromkeys(
        ("ReLU", "GELU", "SiLU", "Sigmoid", "Tanh", "LeakyReLU", "Softmax", "Hardtanh", "ReLU6"),
        "it passes on graded values, and the chip spikes; put a LIFNode or IFNode in its place and train again",
    ),
    **dict.fromkeys(
        ("LSTM", "GRU", "RNN", "SpikingLSTM", "SpikingGRU", "SpikingVanillaRNN"),
        "its gates multiply what neurons hold, which no neuron of the chip does; use LIFNode or IFNode",
    ),
    **dict.fromkeys(
        ("LinearRecurrentContainer", "ElementWiseRecurrentContainer", "SynapseFilter", "Delay"),
        "it hands on what it gave in earlier steps, and no synapse here has a delay; leave it out and train again",
    ),
    **dict.fromkeys(
        ("SpikingSelfAttention", "QKAttention", "TokenQKAttention", "SpikeDrivenSelfAttention", "MultiheadAttention"),
        "attention multiplies spikes by spikes, and the weights of synapses are fixed; use convolutions",
    ),
}
"""Why layers that networks often have are not read, by the names of their classes."""

OPERATIONS = (
    ("pools", "means over the map"),
    ("branches", "additions of spikes or of currents (ResNet, SEW-ADD, MS)"),
    ("branches", "products of spikes (SEW-AND, SEW-IAND)"),
    ("branches", "concatenation"),
    ("branches", "channel selection"),
    ("branches", "a layer used twice"),
    ("readout", "spikes or the last linear layer's output, mean or sum over time"),
    ("readout", "votes (`VotingLayer`)"),
)
"""What the code of a network may do between its layers, by their row in the table."""


def supported_layers() -> tuple[str, ...]:
    """The names of all classes that are read, for messages."""
    neurons = (name for info in NEURON_MODELS for name in info.class_names if not name.startswith("Simple"))
    layers = (name for info in LAYERS for name in info.class_names if not name.startswith(("WS", "Threshold")))
    return (*(name for name in layers if not name.endswith("3d")), *neurons, "Dropout")


def support_table() -> str:
    """The table of supported parts in Markdown, as README and documentation show it."""
    rows: dict[str, list[str]] = {part: [] for part in PARTS}
    for info in LAYERS:
        rows[info.part].append(" ".join((_code(info.class_names), info.note)).strip())
    rows["neurons"] += [f"{_code(info.class_names)}: {info.title}" for info in NEURON_MODELS]
    rows["views"].append(f"{_code(IGNORED)}, which do nothing in evaluation")
    for part, text in OPERATIONS:
        rows[part].append(text)
    lines = (f"| {part} | {'; '.join(texts)} |" for part, texts in rows.items())
    return "\n".join(("| part | what is read |", "|---|---|", *lines)) + "\n"


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
