"""What a connection is to a core that adds up windows of its source's spikes before the kernel reads them.

Folding puts an average pool into the kernel of the layer that reads it: taps of a window are equal, stride and padding
are multiples of it. Where they are, and nothing beside whole windows is read, the pool is found again, exactly.
"""

from dataclasses import dataclass, replace

from neuroprune.chips.receptive_field import equal_taps
from neuroprune.chips.types import Box, volume
from neuroprune.fixed_point import WeightArray
from neuroprune.graph.nodes import INPUT, Pair, Shape
from neuroprune.program.types import IntConnection, IntConv


@dataclass(frozen=True, eq=False)
class Kernel:
    """A convolution of a source whose spikes are added up in windows of `pool` x `pool`; 1 of those that are not.

    source: channels, height and width behind the pool. weight, stride, padding, dilation: as of `IntConv`.
    """

    pool: int
    source: Box
    weight: WeightArray
    stride: Pair
    padding: Pair
    dilation: Pair

    @property
    def size(self) -> Pair:
        """Rows and columns of the kernel."""
        height, width = self.weight.shape[2:]
        return height, width

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for kernels that one core holds once."""
        return self.source, self.weight.shape, self.weight.tobytes(), self.stride, self.padding


def kernel_of(connection: IntConnection, shape: Shape, pools: tuple[int, ...]) -> Kernel:
    """The kernel of `connection`, into a layer of `shape`, behind the largest of `pools` that is exact.

    A dense connection is a convolution as large as the map that it reads. Frames are not pooled: no core sends them.

    >>> import numpy as np
    >>> from neuroprune.program.types import IntConnection, IntConv
    >>> folded = IntConv(np.repeat(np.repeat([[[[2, 4], [6, 8]]]], 2, 2), 2, 3), (2, 2), (0, 0), (1, 1), 1)
    >>> kernel = kernel_of(IntConnection("conv1", folded, (1, 8, 8)), (1, 3, 3), (1, 2, 4))
    >>> kernel.pool, kernel.source, kernel.weight[0, 0].tolist()
    (2, (1, 4, 4), [[2, 4], [6, 8]])
    """
    whole = _as_convolution(connection)
    pools = (1,) if connection.source == INPUT else pools
    return next(pooled for pool in sorted(pools, reverse=True) if (pooled := _behind(pool, whole, volume(shape))))


def _as_convolution(connection: IntConnection) -> Kernel:
    synapse, source = connection.synapse, volume(connection.in_shape)
    if isinstance(synapse, IntConv):
        return Kernel(1, source, synapse.weight, synapse.stride, synapse.padding, synapse.dilation)
    return Kernel(1, source, synapse.weight.reshape(-1, *source), (1, 1), (0, 0), (1, 1))


def _behind(pool: int, whole: Kernel, shape: Box) -> Kernel | None:
    """`whole`, into a layer of `shape`, behind a pool of that window; None where it computes something else."""
    if pool == 1:
        return whole
    synapse = IntConv(whole.weight, whole.stride, whole.padding, whole.dilation, 1)
    stride = []
    for axis, taps in enumerate(equal_taps(synapse)):
        size, outputs, step, padding = whole.source[axis + 1], shape[axis + 1], whole.stride[axis], whole.padding[axis]
        repeated = all(taps[tap] == taps[tap // pool * pool] for tap in range(len(taps)))
        in_step = outputs == 1 or step % pool == 0
        last = (outputs - 1) * step - padding + len(taps)
        within = size % pool == 0 or last <= size // pool * pool
        fits = len(taps) % pool == 0 and padding % pool == 0 and whole.dilation[axis] == 1
        if not (repeated and in_step and within and fits):
            return None
        stride.append(max(1, step // pool))
    channels, height, width = whole.source
    return replace(
        whole,
        pool=pool,
        source=(channels, height // pool, width // pool),
        weight=whole.weight[:, :, ::pool, ::pool],
        stride=(stride[0], stride[1]),
        padding=(whole.padding[0] // pool, whole.padding[1] // pool),
    )
