"""Data sets in folders: pictures and recordings by class, found without being told what they are, or refused."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroprune.data import pictures as pictures_module, tiny_imagenet as tiny_imagenet_module
from neuroprune.data.load import describe_dataset, load_dataset
from neuroprune.errors import InputError

RNG = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def write(path: Path, content: np.ndarray, mode: str | None = None) -> np.ndarray:
    """A picture, [H, W] grey or [H, W, 3] in colours, or a recording [events, 4]; what was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, content)
    else:
        picture = Image.fromarray(content)
        (picture if mode is None else picture.convert(mode)).save(path)
    return content


def both_parts(folder: Path, shape: tuple[int, ...] = (4, 5), suffix: str = ".png", test: str = "test") -> Path:
    for part, count in (("train", 3), (test, 1)):
        for name in ("bird", "ant"):
            for number in range(count):
                write(folder / part / name / f"{number}{suffix}", pixels(*shape))
    return folder


@pytest.mark.parametrize("test", ["test", "val", "Validation"])
def test_pictures_come_as_torchvision_would_number_them(tmp_path, test):
    folder = both_parts(tmp_path / "mine", (4, 5, 3), test=test)
    (folder / "readme.txt").write_text("no sample")
    (folder / "train" / ".hidden").mkdir()
    data, info = load_dataset(folder), describe_dataset(folder)
    assert (data.name, data.classes, data.input_shape) == ("mine", ("ant", "bird"), (3, 4, 5))
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([0, 0, 0, 1, 1, 1], [0, 1])
    assert (info.shape, info.train_samples, info.test_samples, info.recordings) == ((3, 4, 5), 6, 2, False)
    expected = np.asarray(Image.open(folder / "train" / "bird" / "1.png")).transpose(2, 0, 1)
    assert np.array_equal(data.train.images[4], expected)


def test_grey_pictures_have_one_channel_and_three_where_one_has_colours(tmp_path):
    folder = both_parts(tmp_path)
    assert load_dataset(folder).input_shape == (1, 4, 5)
    grey = np.asarray(Image.open(folder / "train" / "ant" / "0.png"))
    write(folder / "test" / "bird" / "1.png", pixels(4, 5, 3))
    data = load_dataset(folder)
    assert data.input_shape == (3, 4, 5)
    assert np.array_equal(data.train.images[0], np.stack([grey] * 3))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA", "P", "CMYK"])
def test_pictures_of_every_mode_of_bytes_are_read(tmp_path, mode):
    suffix = ".tif" if mode == "CMYK" else ".PNG"
    for name in ("a", "b"):
        for number in range(5):
            write(tmp_path / name / f"{number}{suffix}", pixels(4, 5, 3), mode)
    channels = 1 if mode in ("1", "L") else 3
    data = load_dataset(tmp_path)
    assert data.input_shape == (channels, 4, 5) and (len(data.train), len(data.test)) == (8, 2)


def test_recordings_are_binned_to_the_steps_asked_for_on_the_sensor_that_saw_them(tmp_path):
    for part in ("train", "test"):
        for number, name in enumerate(("down", "up")):
            write(tmp_path / part / name / "0.npy", np.array([[0, 2, number, 1], [90, 6, 3, 0]]))
    data, info = load_dataset(tmp_path, steps=3), describe_dataset(tmp_path)
    assert data.train.images.shape == (2, 3, 2, 4, 7) and info.recordings and info.shape == (2, 4, 7)
    assert data.train.images[1, 0, 1, 1, 2] == data.train.images[1, 2, 0, 3, 6] == 1 and data.train.images.sum() == 4
    with pytest.raises(InputError, match="binned to T frames, but T is None: give a number of steps"):
        load_dataset(tmp_path)


def test_a_part_of_recordings_may_be_an_archive(tmp_path):
    for part in ("pips_train", "pips_test"):
        for name in ("cl", "he"):
            write(tmp_path / part / name / "0.npy", np.array([[0, 1, 2, 1]]))
    unpacked = load_dataset(tmp_path, steps=2)
    for part in ("pips_train", "pips_test"):
        shutil.make_archive(str(tmp_path / part), "gztar", tmp_path, part)
        shutil.rmtree(tmp_path / part)
    packed = load_dataset(tmp_path, steps=2)
    assert packed.origin.digest == unpacked.origin.digest and packed.classes == ("cl", "he")


def test_a_damaged_picture_is_named(tmp_path):
    folder = both_parts(tmp_path, (40, 50))
    path = folder / "train" / "bird" / "1.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"bird/1\.png is not a whole picture \(.*\): write it again as PNG or JPEG"):
        load_dataset(folder)
    path.write_bytes(b"no picture at all")
    with pytest.raises(InputError, match=r"bird/1\.png is not a whole picture \(.*\): write it again"):
        load_dataset(folder)


def test_pictures_of_different_sizes_are_refused(tmp_path):
    folder = both_parts(tmp_path)
    write(folder / "test" / "bird" / "0.png", pixels(5, 5))
    with pytest.raises(
        InputError, match=r"bird/0\.png is a picture of 5x5 pixels, but those before it have 5x4: bring"
    ):
        load_dataset(folder)


def test_pictures_that_state_more_than_is_read_are_refused(tmp_path, monkeypatch):
    folder = both_parts(tmp_path)
    monkeypatch.setattr(pictures_module, "MOST_BYTES", 100)
    with pytest.raises(
        InputError, match=r"6 pictures of \(1, 4, 5\) .* take 120 bytes, but at most 100 are taken: make"
    ):
        load_dataset(folder)
    monkeypatch.setattr(pictures_module, "LARGEST_SIDE", 4)
    with pytest.raises(InputError, match=r"it states 5x4 pixels, and at most 4 are read"):
        load_dataset(folder)


def test_pixels_of_more_than_8_bits_are_refused(tmp_path):
    folder = both_parts(tmp_path)
    Image.fromarray(np.full((4, 5), 999, np.uint16)).save(folder / "train" / "ant" / "1.png")
    with pytest.raises(InputError, match="its pixels are of the mode I;16, and those of 8 bits are read"):
        load_dataset(folder)


def test_without_pillow_its_name_is_said(tmp_path, monkeypatch):
    folder = both_parts(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        InputError, match=r"because Pillow is not installed: pip install 'neuroprune\[images\]', or give"
    ):
        load_dataset(folder)


def test_folders_that_are_no_data_set_say_why(tmp_path):
    folder = both_parts(tmp_path / "mine")
    (folder / "train" / "cat").mkdir()
    with pytest.raises(
        InputError, match=r"train/cat holds no picture \(\.png, .*\) and no recording .*, but is the fold"
    ):
        load_dataset(folder)
    for name, what in (
        ("0.aedat4", "AEDAT 4: read its events with the package aedat"),
        ("0.mat", r"a file of MATLAB: read its events with scipy\.io\.loadmat"),
        ("0.H5", "HDF5, which has no one layout for events: read its events with h5py"),
        ("0.raw", "a RAW file, of Prophesee's cameras as a rule: read its events with the package faery"),
        ("0.dat", "a DAT file, of Prophesee's cameras as a rule: read its events with the package faery"),
    ):
        other = folder / "train" / "cat" / name
        other.write_bytes(b"")
        remedy = r"and write their t \(in us\), x, y and p with numpy\.savez as \.npz$"
        with pytest.raises(InputError, match=rf"though {name}, which is {what}, {remedy}"):
            load_dataset(folder)
        other.unlink()
    shutil.rmtree(folder / "train" / "cat")
    write(folder / "test" / "cat" / "0.png", pixels(4, 5))
    with pytest.raises(InputError, match="mine has the class cat in its test part but none so called in its training"):
        load_dataset(folder)
    shutil.rmtree(folder / "test")
    with pytest.raises(
        InputError, match="mine holds train but no test part beside it: call its folder test, or name the"
    ):
        load_dataset(folder)
    shutil.rmtree(folder / "train")
    with pytest.raises(
        InputError, match=r"mine holds no folders of classes, and is no data set that is known: name a \.n"
    ):
        load_dataset(folder)


def test_pictures_and_recordings_in_one_folder_are_refused(tmp_path):
    write(tmp_path / "a" / "0.png", pixels(4, 5))
    write(tmp_path / "b" / "0.npy", np.array([[0, 1, 2, 1]]))
    with pytest.raises(
        InputError, match=r"holds files of several kinds \(\.npy, \.png\), but a data set is of pictures"
    ):
        load_dataset(tmp_path)


def write_tiny_imagenet(folder: Path, classes: int = 3) -> list[str]:
    names = [f"n{9 - number:08d}" for number in range(classes)]
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(names) + "\n")
    lines = []
    for number, name in enumerate(names):
        for index in range(2):
            content = np.full((64, 64) if index else (64, 64, 3), 40 * number, np.uint8)
            write(folder / "train" / name / "images" / f"{name}_{index}.JPEG", content)
        (folder / "train" / name / f"{name}_boxes.txt").write_text("")
        write(folder / "val" / "images" / f"val_{number}.JPEG", np.full((64, 64, 3), 40 * number, np.uint8))
        lines.append(f"val_{number}.JPEG\t{name}\t0\t32\t44\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    (folder / "test" / "images").mkdir(parents=True)
    return names


def test_tiny_imagenet_is_found_by_its_path_and_by_its_name(tmp_path, monkeypatch):
    names = write_tiny_imagenet(tmp_path / "tiny-imagenet-200")
    own = load_dataset(tmp_path / "tiny-imagenet-200")
    assert own.classes == tuple(sorted(names)) and own.input_shape == (3, 64, 64)
    assert own.test.labels.tolist() == [2, 1, 0] and own.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert own.test.images[:, 0, 9, 9].tolist() == [0, 40, 80]
    with pytest.raises(InputError, match="holds 3 classes, but Tiny-ImageNet has 200: unpack it again"):
        load_dataset("tiny-imagenet", tmp_path)
    monkeypatch.setattr(tiny_imagenet_module, "CLASSES", 3)
    named = load_dataset("tiny-imagenet", tmp_path)
    assert np.array_equal(named.train.images, own.train.images) and np.array_equal(named.test.labels, own.test.labels)


def test_a_tiny_imagenet_that_is_not_whole_is_refused(tmp_path):
    names = write_tiny_imagenet(tmp_path)
    annotations = tmp_path / "val" / "val_annotations.txt"
    annotations.write_text(annotations.read_text() + "val_9.JPEG\tn77\n")
    with pytest.raises(
        InputError, match=r"gives val_9\.JPEG the class 'n77', which is not in wnids\.txt: unpack it again"
    ):
        load_dataset(tmp_path)
    annotations.write_text(f"val_9.JPEG\t{names[0]}\n")
    with pytest.raises(InputError, match=r"val_9\.JPEG cannot be read \(No such file or directory\)"):
        load_dataset(tmp_path)
    shutil.rmtree(tmp_path / "train" / names[1])
    with pytest.raises(InputError, match=f"train holds no pictures of the class {names[1]}: unpack it again"):
        load_dataset(tmp_path)
