"""Pictures in files of any usual format, read by Pillow, as bytes of one size."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from neuroprune.data.types import Images
from neuroprune.errors import InputError
from neuroprune.reading import read_bytes, reading

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
"""Those that torchvision's ImageFolder takes, in small or capital letters."""

GREY, COLOUR = ("1", "L"), ("RGB", "RGBA", "LA", "P", "PA", "CMYK", "YCbCr")
"""Modes of Pillow's with bytes of a pixel."""
LARGEST, LARGEST_SIDE = 1 << 26, 1 << 12
"""Bytes of a file, and pixels of a side."""
MOST_BYTES = 1 << 33
"""Of the pixels of all pictures of a part."""

REMEDY = "write it again as PNG or JPEG"


def shape_of(paths: Sequence[Path]) -> tuple[int, int, int]:
    """(channels, height, width) of these pictures, by the size of the first; 1 channel where all of them are grey.

    As soon as one has colours, the others are not opened. Raises InputError for a file that is no picture.
    """
    with _opened(paths[0]) as first:
        width, height = first.size
    for path in paths:
        with _opened(path) as picture:
            if picture.mode not in GREY:
                return 3, height, width
    return 1, height, width


def read_pictures(paths: Sequence[Path], shape: tuple[int, int, int]) -> Images:
    """The pictures as uint8 [N, *shape], grey with 1 channel, else red, green and blue, without transparency.

    Raises InputError for a file that is no whole picture, or is of another size.
    """
    whole = (len(paths), *shape)
    if prod(whole) > MOST_BYTES:
        raise InputError(
            f"{len(paths)} pictures of {shape} (channels, height, width) below {paths[0].parent.parent} take "
            f"{prod(whole)} bytes, but at most {MOST_BYTES} are taken: make them smaller"
        )
    channels, height, width = shape
    images = np.empty(whole, np.uint8)
    for image, path in zip(images, paths, strict=True):
        with _opened(path) as picture:
            if picture.size != (width, height):
                raise InputError(
                    f"{path} is a picture of {picture.width}x{picture.height} pixels, but those before it have "
                    f"{width}x{height}: bring all to one size"
                )
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
        image[...] = pixels if channels == 1 else pixels.transpose(2, 0, 1)
    return images


@contextmanager
def _opened(path: Path) -> Iterator["Image"]:
    pillow = _pillow()
    with reading(path, "a whole picture", REMEDY):
        # In memory, since Pillow takes as much of it as a damaged file says is to be read.
        content = io.BytesIO(read_bytes(path, LARGEST))
        with pillow.open(content, formats=("PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP")) as found:
            if max(found.size) > LARGEST_SIDE:
                raise ValueError(f"it states {found.width}x{found.height} pixels, and at most {LARGEST_SIDE} are read")
            if found.mode not in (*GREY, *COLOUR):
                raise ValueError(f"its pixels are of the mode {found.mode}, and those of 8 bits are read")
            yield found


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise InputError(
            "pictures cannot be read because Pillow is not installed: pip install 'neuroprune[images]', or give arrays "
            "in a .npz file"
        ) from error
    return Image
