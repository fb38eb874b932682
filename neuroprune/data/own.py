"""Data of one's own by their path: a .npz file of arrays, or a folder of classes."""

import contextlib
import hashlib
import os
from pathlib import Path

from neuroprune.choices import names
from neuroprune.data.arrays import SUFFIX, describe_arrays
from neuroprune.data.catalog import DATASETS, DatasetInfo
from neuroprune.data.trees import describe_folder
from neuroprune.data.types import Dataset
from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.reading import is_file, is_folder


def is_path(data: str) -> bool:
    """Whether that names a file or folder and no data set that is known: names come first."""
    if data in names(DATASETS):
        return False
    is_written_so = os.sep in data or data.startswith(("~", ".")) or data.endswith(SUFFIX)
    return is_written_so or is_file(Path(data)) or is_folder(Path(data))


def describe_path(data: str, folder: Path) -> DatasetInfo:
    """The data set in the file or folder `data`; where there is none, in that of its last name in the data folder.

    So data that moved are found again. Raises InputError for a path that is neither, and files that are no data set.
    """
    given = Path(data)
    with contextlib.suppress(RuntimeError):  # nobody's home
        given = given.expanduser()
    path = next((each for each in (given, folder / given.name) if is_file(each) or is_folder(each)), None)
    if path is None:
        raise InputError(
            f"there is no file or folder {capped(given)}, and none called {capped(given.name)} in {folder.resolve()}: "
            "name a .npz file or a folder of classes, or with --data-dir the folder that it lies in"
        )
    # Not through a link in its last place, whose own name is the one that people know.
    path = path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name
    if is_folder(path):
        return describe_folder(path)
    if path.suffix.lower() != SUFFIX:
        raise InputError(
            f"{path} is neither a {SUFFIX} file of arrays nor a folder of classes: write its arrays with numpy.savez"
        )
    return describe_arrays(path)


def digest_of(data: Dataset) -> str:
    """SHA-256, in hexadecimal, of the bytes and shapes of images and labels of the training and the test split."""
    digest = hashlib.sha256()
    for split in (data.train, data.test):
        digest.update(repr((split.images.shape, split.labels.shape)).encode())
        digest.update(split.images.data)
        digest.update(split.labels.data)
    return digest.hexdigest()
