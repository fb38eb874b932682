"""From raw pixels to the frames that a network sees: as they are, in rows, rate coded or time-to-first-spike coded."""

import zlib
from dataclasses import dataclass

import numpy as np
import torch

from neuroprune.arrays import Frames
from neuroprune.data.types import Coding, Images


def encode(images: torch.Tensor, coding: Coding, generator: torch.Generator | None = None) -> torch.Tensor:
    """Frames as float32 on the device of `images`: [N, C, H, W], or sequences [N, T, C, H, W].

    images: uint8 [N, C, H, W], or event counts [N, T, C, H, W]. With x = (pixel - mean) / std, for spikes clipped to
    0..1, they are coded direct: x; rows: the rows of x from the top, one a step, as [N, H, C, 1, W]; poisson: at each
    step a spike with probability x; latency: one spike at step round((1 - x) * (T - 1)), as SpikingJelly's linear
    LatencyEncoder does, but none for x = 0.

    generator: of Poisson spikes, on the CPU. Without it they depend on the image's bytes alone, so an image has the
    same spikes in any batch, in evaluation, in compression and on the chip.
    """
    x = (images.float() - _channels(coding.mean, images)) / _channels(coding.std, images)
    if coding.kind == "direct":
        return x
    if coding.kind == "rows":
        return x.permute(0, 2, 1, 3).unsqueeze(3)
    x = x.clamp(0.0, 1.0).unsqueeze(1)
    assert coding.steps is not None  # Coding requires it for these kinds
    if coding.kind == "poisson":
        shape = (len(images), coding.steps, *images.shape[1:])
        draws = _fixed_draws(images, shape) if generator is None else torch.rand(shape, generator=generator)
        return (draws.to(x.device) < x).float()
    at = ((1.0 - x) * (coding.steps - 1)).round()
    steps = torch.arange(coding.steps, device=x.device).reshape(1, -1, 1, 1, 1)
    return ((at == steps) & (x > 0)).float()


def frames_of(images: Images, coding: Coding) -> Frames:
    """The float32 frames that a network sees, [N, C, H, W] or sequences [N, T, C, H, W].

    images: uint8 [N, C, H, W], raw pixels, or event counts [N, T, C, H, W]. coding: that of their data set. Spikes of
    rate coding depend on the image alone, so an image always has the same ones.

    >>> from neuroprune import frames_of, load_dataset
    >>> data = load_dataset("digits", coding="poisson", steps=4)
    >>> frames_of(data.test.images[:2], data.coding).shape
    (2, 4, 1, 8, 8)
    """
    return encode(torch.tensor(images), coding).numpy()


@dataclass(frozen=True, eq=False)
class CodedFrames:
    """The frames of images that are coded a slice at a time, so that memory holds the bytes of all, frames of a few.

    images, coding: as for `frames_of`, which gives the same frames as one array.
    shape: of that array.

    >>> from neuroprune import CodedFrames, load_dataset
    >>> data = load_dataset("digits", coding="poisson", steps=4)
    >>> frames = CodedFrames(data.test.images, data.coding)
    >>> frames.shape, frames[:2].shape
    ((360, 4, 1, 8, 8), (2, 4, 1, 8, 8))
    """

    images: Images
    coding: Coding

    @property
    def shape(self) -> tuple[int, ...]:
        # The frames of no image have all sizes but their number.
        return (len(self), *self[:0].shape[1:])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, samples: slice, /) -> Frames:
        return frames_of(self.images[samples], self.coding)


def frames_on(device: torch.device, images: Images, coding: Coding) -> torch.Tensor:
    """As `frames_of`, as a tensor on `device`."""
    return encode(torch.tensor(images, device=device), coding)


def time_first(frames: torch.Tensor) -> torch.Tensor:
    """Sequences [N, T, C, H, W] in the order in which networks take them, [T, N, C, H, W]; [N, C, H, W] stays."""
    return frames.transpose(0, 1) if frames.ndim == 5 else frames


def _channels(values: tuple[float, ...], images: torch.Tensor) -> torch.Tensor:
    """One value per channel as float32 [C, 1, 1]."""
    return torch.tensor(values, dtype=torch.float32, device=images.device)[:, None, None]


def _fixed_draws(images: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform over [0, 1), for each image from a generator that its bytes seed."""
    draws = np.empty(shape, np.float32)
    for image, row in zip(images.cpu().numpy(), draws, strict=True):
        np.random.default_rng(zlib.crc32(image.tobytes())).random(out=row, dtype=np.float32)
    return torch.from_numpy(draws)
