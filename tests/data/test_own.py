"""Data of one's own by their path: found, found again where they moved, known by a digest, and taken in part."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from neuroprune.data.coding import CodedFrames, frames_of
from neuroprune.data.load import describe_dataset, load_dataset
from neuroprune.data.own import is_path
from neuroprune.data.subset import Subset, take_samples, take_subset
from neuroprune.data.types import Coding, Origin, Split, make_dataset
from neuroprune.errors import InputError

RNG = np.random.default_rng(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    images, labels = RNG.integers(0, 256, (40, 1, 6, 5), dtype=np.uint8), np.arange(40) % 4
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    return tmp_path / "mine.npz"


def test_a_path_is_text_a_path_or_a_name_in_the_data_folder(path, monkeypatch):
    digests = {load_dataset(path).origin.digest, load_dataset(str(path)).origin.digest}
    monkeypatch.chdir(path.parent)
    digests |= {load_dataset("mine.npz").origin.digest, load_dataset("./mine.npz").origin.digest}
    monkeypatch.chdir("/")
    digests |= {load_dataset("mine.npz", path.parent).origin.digest}
    digests |= {load_dataset("/where/it/was/mine.npz", path.parent).origin.digest}
    assert len(digests) == 1
    assert load_dataset("/where/it/was/mine.npz", path.parent).origin.path == str(path)


def test_a_link_has_the_name_that_people_know(path, monkeypatch):
    (path.parent / "here").mkdir()
    link = path.parent / "here" / "named.npz"
    link.symlink_to(path)
    assert (load_dataset(link).name, load_dataset(link).origin.path) == ("named", str(link))
    for name in ("a", "b"):
        (path.parent / "set" / name).mkdir(parents=True)
        for number in range(3):
            np.save(path.parent / "set" / name / f"{number}.npy", np.array([[0, 1, 2, 1]]))
    monkeypatch.chdir(path.parent / "set" / "a")
    assert load_dataset("..", steps=1).name == "set"


def test_known_names_come_first(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    Path("digits").mkdir()
    assert not is_path("digits") and is_path("./digits") and is_path("mine.npz") and not is_path("imagenet")
    assert load_dataset("digits").origin == Origin()


def test_the_digest_tells_other_samples_and_not_other_places(path, tmp_path):
    first = load_dataset(path).origin
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.copy(path, tmp_path / "elsewhere" / "mine.npz")
    assert load_dataset(moved).origin == Origin(str(moved), first.digest)
    arrays = dict(np.load(path))
    arrays["images"][7, 0, 0, 0] ^= 1
    np.savez(path, **arrays)
    assert load_dataset(path).origin.digest != first.digest


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            "nowhere/mine.npz",
            r"there is no file or folder nowhere/mine\.npz, and none called mine\.npz in .*: name a \.npz",
        ),
        ("~nobody-at-all/x", "there is no file or folder ~nobody-at-all/x, and none called x in"),
        ("a\0b/c", "there is no file or folder a�b/c, and none called c in"),
        ("imagenet", r"there is no data set 'imagenet': choose one of digits, .*, or name a \.npz file or a folder of"),
    ],
)
def test_what_is_not_there_is_said(tmp_path, data, said):
    with pytest.raises(InputError, match=said):
        load_dataset(data, tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "mine.csv").write_text("1,2")
    with pytest.raises(InputError, match=r"mine\.csv is neither a \.npz file of arrays nor a folder of classes: write"):
        load_dataset(tmp_path / "mine.csv")


def test_named_recordings_are_read_as_ones_own_are(tmp_path):
    for part in ("Train", "Test"):
        for digit in range(10):
            file = tmp_path / part / str(digit) / "00001.bin"
            file.parent.mkdir(parents=True)
            file.write_bytes(bytes([33, 33, 128, 0, 9, digit, 3, 0, 0, 40]))
    own, named = load_dataset(tmp_path, steps=3), load_dataset("n-mnist", tmp_path, steps=3)
    for mine, theirs in ((own.train, named.train), (own.test, named.test)):
        assert np.array_equal(mine.images, theirs.images) and np.array_equal(mine.labels, theirs.labels)
    assert describe_dataset(tmp_path).shape == describe_dataset("n-mnist").shape


@pytest.mark.parametrize(
    ("samples", "counts"), [(8, [2, 2, 2, 2]), (10, [3, 3, 2, 2]), (27, [8, 8, 8, 3]), (32, [8] * 4)]
)
def test_samples_are_taken_evenly_of_all_classes_as_far_as_they_go(samples, counts):
    labels = np.repeat(np.arange(4), [8, 8, 8, 8 if samples == 32 else 3])
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    data = make_dataset("x", Split(images, labels), Split(images, labels), tuple("abcd"))
    taken = take_samples(data, samples)
    assert sorted(np.bincount(taken.train.labels).tolist(), reverse=True) == counts
    assert (np.diff(taken.train.images.ravel().astype(int)) > 0).all()
    assert taken.coding == data.coding and taken.test is data.test and taken.origin.samples == samples
    assert np.array_equal(taken.train.images, take_samples(data, samples).train.images)
    fewer = take_samples(data, samples - 1)
    assert set(fewer.train.images.ravel()) < set(taken.train.images.ravel())


def test_other_seeds_take_other_samples():
    data = load_dataset("digits")
    assert not np.array_equal(take_samples(data, 100).train.images, take_samples(data, 100, seed=1).train.images)


@pytest.mark.parametrize("samples", [0, 1438])
def test_more_samples_than_there_are_cannot_be_taken(samples):
    with pytest.raises(
        InputError, match=f"^{samples} training samples cannot be taken of the 1437 of data set digits: as"
    ):
        take_samples(load_dataset("digits"), samples)


def test_rows_are_steps_from_the_top_and_normalised_as_whole_frames_are():
    data, whole = load_dataset("digits", coding="rows"), load_dataset("digits")
    assert data.input_shape == (1, 1, 8)
    assert data.coding == Coding(whole.coding.mean, whole.coding.std, "rows", 8)
    rows, frames = (frames_of(each.test.images[:5], each.coding) for each in (data, whole))
    assert rows.shape == (5, 8, 1, 1, 8)
    for step in range(8):
        assert np.array_equal(rows[:, step, :, 0], frames[:, :, step])
    assert CodedFrames(data.test.images, data.coding).shape == (360, 8, 1, 1, 8)


def test_fewer_rows_are_fewer_steps():
    data = take_subset(load_dataset("digits", coding="rows"), Subset(pool=2))
    assert data.input_shape == (1, 1, 4) and data.coding.steps == 4


def test_rows_have_as_many_steps_as_there_are():
    assert load_dataset("digits", coding="rows", steps=8).coding.steps == 8
    with pytest.raises(
        InputError, match="digits have 8 rows, of which the coding rows shows one a step, so that they can"
    ):
        load_dataset("digits", coding="rows", steps=5)
