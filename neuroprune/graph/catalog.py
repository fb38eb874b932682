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

_OF_THE_SAMPLE = "it normalises by the values of each sample, which no chip computes; use a BatchNorm and train again"
_GRADED = "it passes on graded values, and the chip spikes; put a LIFNode or IFNode in its place and train again"
_PROBABILITIES = (
    "the chip has no softmax: leave it out at the end, where it changes nothing of which class is the largest, and put "
    "a LIFNode or IFNode in its place between layers"
)
ATTENTION = (
    "attention multiplies spikes of one layer by spikes of another, and a synapse multiplies by a fixed weight; it "
    "would take a neuron for each product of two spikes, so use convolutions in its place and train again"
)
"""Why products of values that are both computed are not read."""

REFUSED = {
    **dict.fromkeys(
        """GroupNorm LayerNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d RMSNorm LocalResponseNorm
        NeuNorm""".split(),  # noqa: SIM905
        _OF_THE_SAMPLE,
    ),
    **dict.fromkeys(
        """ReLU ReLU6 LeakyReLU PReLU RReLU ELU SELU CELU GELU SiLU Mish Sigmoid LogSigmoid Tanh Hardtanh Hardswish
        Hardsigmoid Softplus Softsign Threshold""".split(),  # noqa: SIM905
        _GRADED,
    ),
    **dict.fromkeys(("Softmax", "Softmax2d", "LogSoftmax"), _PROBABILITIES),
    **dict.fromkeys(
        """RNNBase LSTM GRU RNN RNNCellBase LSTMCell GRUCell RNNCell SpikingLSTM SpikingGRU SpikingVanillaRNN
        SpikingLSTMCell SpikingGRUCell SpikingVanillaRNNCell""".split(),  # noqa: SIM905
        "its gates multiply what neurons hold, which no neuron of the chip does; use LIFNode or IFNode",
    ),
    **dict.fromkeys(
        ("SynapseFilter", "Delay"),
        "it hands on what it gave in earlier steps, and no synapse here has a delay; leave it out and train again",
    ),
    **dict.fromkeys(
        """SpikingSelfAttention QKAttention TokenQKAttention SpikeDrivenSelfAttention MultiheadAttention
        TransformerEncoderLayer TransformerDecoderLayer""".split(),  # noqa: SIM905
        ATTENTION,
    ),
    **dict.fromkeys(
        ("Conv1d", "ConvTranspose1d"),
        "its kernel moves along one axis, of time or of tokens; over steps, weights would need delays, so use Conv2d "
        "for each step, and for signals one with a kernel of (1, k) on maps of [channels, 1, length]",
    ),
    "ConvTranspose3d": "its kernel reaches over time, and weights would need delays; use ConvTranspose2d for each step",
    **dict.fromkeys(
        ("BatchNormThroughTime1d", "BatchNormThroughTime2d", "BatchNormThroughTime3d",
         "TemporalEffectiveBatchNorm1d", "TemporalEffectiveBatchNorm2d", "TemporalEffectiveBatchNorm3d"),
        "it scales each step by numbers of its own, and weights on the chip are the same at every step; use "
        "BatchNorm2d and train again",
    ),
}  # fmt: skip
"""Why layers that networks often have are not read, by the names of their classes."""

REFUSED_OPERATIONS = {
    **dict.fromkeys(("group_norm", "layer_norm", "instance_norm", "rms_norm", "normalize"), _OF_THE_SAMPLE),
    **dict.fromkeys(
        """relu relu_ relu6 leaky_relu prelu elu selu celu gelu silu mish sigmoid logsigmoid tanh hardtanh hardswish
        hardsigmoid softplus softsign clamp clip exp log sqrt pow""".split(),  # noqa: SIM905
        _GRADED,
    ),
    **dict.fromkeys(("softmax", "log_softmax"), _PROBABILITIES),
    **dict.fromkeys(("conv1d", "conv_transpose1d"), REFUSED["Conv1d"]),
    "conv_transpose3d": REFUSED["ConvTranspose3d"],
    **dict.fromkeys(
        ("max", "amax"), "the largest over time or classes is no sum of spikes; return the mean or sum over time"
    ),
}
"""Why operations are not read, by their names in torch."""

OPERATIONS = (
    ("pools", "means over the map"),
    ("branches", "additions of spikes or of currents (ResNet, SEW-ADD, MS)"),
    ("branches", "products of spikes (SEW-AND, SEW-IAND)"),
    ("branches", "concatenation"),
    ("branches", "channel selection"),
    ("branches", "a layer used twice"),
    ("branches", "a layer that reads its own spikes one step later (`LinearRecurrentContainer`)"),
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
