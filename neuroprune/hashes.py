"""SHA-256 of what a result was made from."""

from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neuroprune.reading import reading


def sha256_of_file(path: Path) -> str:
    """Of the bytes of a file, as `sha256sum` gives it. Raises InputError where it cannot be read."""
    with reading(path, "a file that can be read", "see who may read it"), path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def sha256_of_arrays(*arrays: npt.NDArray[np.generic]) -> str:
    """Of the bytes of arrays one after the other, each in C order and in its own type."""
    digest = sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
