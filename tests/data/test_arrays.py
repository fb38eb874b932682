"""Data sets in .npz files: found by the names of their arrays, told apart by their axes, or refused in a sentence."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neuroprune.data import arrays as arrays_module
from neuroprune.data.load import describe_dataset, load_dataset
from neuroprune.errors import InputError

RNG = np.random.default_rng(0)
LABELS = np.arange(20) % 4


def frames(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def saved(folder: Path, **arrays: object) -> Path:
    np.savez(folder / "mine.npz", **{name: np.asarray(values) for name, values in arrays.items()})
    return folder / "mine.npz"


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "Y_train", "X_val", "Y_val"),
        ("train_data", "train_targets", "valid_data", "valid_targets"),
    ],
)
def test_both_parts_are_found_by_the_usual_names(tmp_path, names):
    images, labels = frames(20, 3, 6, 5), LABELS
    values = (images[:12], labels[:12, None], images[12:], labels[12:, None])  # [N, 1], as Keras and MedMNIST have them
    path = saved(tmp_path, **dict(zip(names, values, strict=True)), note="mine")
    data = load_dataset(path)
    assert np.array_equal(data.train.images, images[:12]) and np.array_equal(data.test.images, images[12:])
    assert np.array_equal(data.test.labels, labels[12:])
    assert (data.name, data.classes, data.input_shape) == ("mine", ("0", "1", "2", "3"), (3, 6, 5))


@pytest.mark.parametrize(
    ("shape", "taken"),
    [
        ((20, 6, 5), (1, 6, 5)),
        ((20, 9), (1, 1, 9)),
        ((20, 2, 6, 5), (2, 6, 5)),
        ((20, 6, 5, 3), (3, 6, 5)),
        ((20, 6, 5, 1), (1, 6, 5)),
        ((20, 4, 4, 4), (4, 4, 4)),
        ((20, 8, 6, 5), (8, 6, 5)),
        ((20, 7, 2, 6, 5), (7, 2, 6, 5)),
        ((20, 7, 6, 5, 2), (7, 2, 6, 5)),
    ],
)
def test_axes_are_told_apart(tmp_path, shape, taken):
    images = frames(*shape)
    path = saved(tmp_path, images=images, labels=LABELS)
    data, info = load_dataset(path), describe_dataset(path)
    assert data.train.images.shape[1:] == taken
    assert (info.shape, info.steps) == (taken[-3:], taken[0] if len(taken) == 4 else None)
    if shape[-1] < 4 < shape[-3]:
        images = np.moveaxis(images, -1, -3)
    both = np.concatenate([data.train.images, data.test.images])
    assert sorted(each.tobytes() for each in both) == sorted(each.tobytes() for each in images)


def test_one_part_is_split_with_a_fifth_of_each_class_for_testing(tmp_path):
    images = frames(40, 2, 3)
    path = saved(tmp_path, images=images, labels=np.arange(40) % 4)
    data, again, info = load_dataset(path), load_dataset(str(path)), describe_dataset(path)
    assert np.bincount(data.test.labels).tolist() == [2, 2, 2, 2]
    assert (len(data.train), len(data.test)) == (info.train_samples, info.test_samples) == (32, 8)
    assert np.array_equal(data.test.images, again.test.images)
    assert not {each.tobytes() for each in data.test.images} & {each.tobytes() for each in data.train.images}


def test_floats_of_brightness_become_bytes_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr("neuroprune.data.npy.BLOCK", 100)
    images = frames(20, 1, 5, 5)
    path = saved(tmp_path, x=(images / 255).astype(np.float32), y=LABELS)
    data = load_dataset(path)
    assert np.array_equal(data.test.images, images[np.isin(images.sum((1, 2, 3)), data.test.images.sum((1, 2, 3)))])


def test_names_of_classes_are_those_of_text_labels_or_of_a_list(tmp_path):
    names = np.array(["ant", "bee", "cat", "dog"])
    data = load_dataset(saved(tmp_path, images=frames(20, 2, 2), labels=names[LABELS]))
    assert data.classes == ("ant", "bee", "cat", "dog") and set(data.train.labels) == {0, 1, 2, 3}
    data = load_dataset(saved(tmp_path, images=frames(20, 2, 2), labels=LABELS, classes=["a", "b", "c", "d", "e"]))
    assert data.classes == ("a", "b", "c", "d", "e")


def test_sequences_keep_their_steps_and_no_others_are_taken(tmp_path):
    path = saved(tmp_path, images=frames(20, 7, 2, 6, 5), labels=LABELS)
    assert load_dataset(path).coding.steps == load_dataset(path, steps=7).coding.steps == 7
    with pytest.raises(
        InputError, match="mine has sequences of 7 frames, which cannot be shown in 5 steps: give --steps 7"
    ):
        load_dataset(path, steps=5)


SMALL = frames(20, 2, 2)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"pictures": SMALL}, r"holds no images with labels among its arrays \(pictures\): call them train_images"),
        ({}, r"holds no images with labels among its arrays \(none\): call them"),
        ({"x_train": SMALL, "y_train": LABELS}, r"holds no test part among its arrays \(x_train, y_train\): call them"),
        ({"x_test": SMALL, "y_test": LABELS}, "holds no training part among its arrays"),
        (
            {"x": SMALL, "y": LABELS[:9]},
            "holds 9 y for 20 x, but every sample needs one label: write those that belong",
        ),
        ({"x": SMALL, "y": np.eye(4)[LABELS]}, r"^y of .* has the shape \(20, 4\), but needs one number a .* argmax"),
        (
            {"x": SMALL, "y": LABELS + 1},
            "^labels of .* go from 1 to 4 without 0, but number the classes from 0 without g",
        ),
        ({"x": SMALL, "y": LABELS * 2}, "^labels of .* go from 0 to 6 without 1, but number the classes"),
        ({"x": SMALL, "y": LABELS - 1}, "^labels of .* go from -1 to 2, but number the classes from 0"),
        ({"x": SMALL, "y": LABELS + 0.5}, "^labels of .* are not all whole numbers"),
        (
            {"x": SMALL, "y": LABELS, "classes": np.arange(4)},
            "^classes of .* is no list of names of classes: write one",
        ),
        (
            {"x": SMALL, "y": LABELS, "classes": ["a"]},
            "data set mine has training labels from 0 to 3, but its 1 classes",
        ),
        (
            {"x": SMALL, "y": np.array(list("abcd"))[LABELS], "classes": ["a", "b"]},
            "^y of .* has the class c, which is",
        ),
        ({"x": SMALL[..., 0, 0], "y": LABELS}, r"^x of .* has the shape \(20,\), but needs samples \[N, C, H, W\], "),
        ({"x": SMALL[:0], "y": LABELS[:0]}, r"^x of .* has the shape \(0, 2, 2\), but needs samples"),
        ({"x": np.array([None] * 20), "y": LABELS}, r"is not a whole \.npz file of arrays \(it holds Python objects, "),
        (
            {"x": SMALL, "y": np.array([print] * 20)},
            "it holds Python objects, which only unpickling would give, and that",
        ),
        (
            {"x": np.where(SMALL > 9, np.nan, 1.0), "y": LABELS},
            r"^x of .* hold values that are not finite \(NaN or infi",
        ),
        (
            {"x": SMALL / 7.0, "y": LABELS},
            r"^x of .* are float64 from .* of which bytes would lose something, since they",
        ),
    ],
)
def test_arrays_that_are_no_data_set_say_why(tmp_path, arrays, said):
    path = saved(tmp_path, **arrays)
    with pytest.raises(InputError, match=said) as caught:
        load_dataset(path)
    assert "\n" not in str(caught.value)


def test_frames_of_both_parts_must_be_alike(tmp_path):
    path = saved(tmp_path, x_train=SMALL, y_train=LABELS, x_test=frames(20, 3, 3), y_test=LABELS)
    with pytest.raises(InputError, match=r"mine has training frames of \(1, 2, 2\) and test frames of \(1, 3, 3\)"):
        load_dataset(path)


@pytest.mark.parametrize("keep", [0, 10, 300, 700])
def test_a_truncated_file_is_refused(tmp_path, keep):
    path = saved(tmp_path, x=frames(20, 6, 6), y=LABELS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        InputError, match=r"mine\.npz is not a whole \.npz file of arrays \(.*\): write it again with nu"
    ):
        load_dataset(path)


def with_header(shape: tuple[int, ...], values: int) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(values)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((20, 1 << 40), "its header states 21990232555520 bytes of values, and at most 8589934592 are read"),
        ((20, 1 << 25), "the header of x states 671088640 bytes of values, but 228 are there"),
        ((20, -3), r"its header states the shape \(20, -3\)"),
    ],
)
def test_sizes_that_are_stated_and_not_there_take_no_memory(tmp_path, shape, said):
    labels = io.BytesIO()
    np.save(labels, LABELS)
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as file:
        file.writestr("x.npy", with_header(shape, 100))
        file.writestr("y.npy", labels.getvalue())
    with pytest.raises(InputError, match=said):
        load_dataset(tmp_path / "mine.npz")


def test_arrays_in_fortran_order_are_read_as_they_were(tmp_path):
    images = frames(20, 1, 4, 3)
    first = load_dataset(saved(tmp_path, x=images, y=LABELS))
    second = load_dataset(saved(tmp_path, x=np.asfortranarray(images), y=LABELS))
    assert np.array_equal(first.train.images, second.train.images)


def test_reading_a_file_executes_nothing(tmp_path, monkeypatch):
    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    path = saved(tmp_path, x=SMALL, y=LABELS)
    with zipfile.ZipFile(path, "a") as file:
        stream = io.BytesIO()
        np.save(stream, np.array([Harmful()]), allow_pickle=True)
        file.writestr("classes.npy", stream.getvalue())
    with pytest.raises(InputError, match="it holds Python objects"):
        load_dataset(path)
    assert not (tmp_path / "made").exists()


def test_words_of_a_part_are_all_documented():
    said = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text()
    for word in (*arrays_module.IMAGES, *arrays_module.LABELS, *arrays_module.CLASSES):
        assert f"`{word}`" in said
