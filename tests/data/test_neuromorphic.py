"""DVS128 Gesture, CIFAR10-DVS and SHD, in tiny files of the published layouts."""

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from neuroprune.data import neuromorphic
from neuroprune.data.load import load_dataset
from neuroprune.errors import InputError

EVENTS = np.array([[1_000, 5, 9, 1], [3_000, 127, 127, 0], [5_000, 5, 9, 1]])
"""t in microseconds, x, y, polarity."""


def check(data: object, labels: list[int], events: np.ndarray = EVENTS) -> None:
    """Both splits hold one recording of each of `labels`, whose events lie where they were written."""
    _, x, y, p = events.T
    for split in (data.train, data.test):
        assert split.labels.tolist() == labels and split.images.shape == (len(labels), 2, 2, 128, 128)
        for image in split.images:
            assert image.sum() == len(events) and image[0, p[0], y[0], x[0]] == 1 and image[1, p[-1], y[-1], x[-1]] == 1


def write_spikingjelly(folder: Path, classes: tuple[str, ...], count: int = 1) -> None:
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            t, x, y, p = EVENTS.T
            np.savez(folder / name / f"user01_{name}_{number}.npz", t=t, x=x, y=y, p=p)


@pytest.mark.parametrize("place", ["DVS128Gesture", "."])
def test_gestures_are_found_as_spikingjelly_cuts_them(tmp_path, place):
    for part in ("train", "test"):
        write_spikingjelly(tmp_path / place / "events_np" / part, ("10", "0", "3"))
    data = load_dataset("dvs128-gesture", tmp_path, steps=2)
    check(data, [0, 3, 10])
    assert len(data.classes) == 11


def test_gestures_are_found_as_tonic_unpacks_them(tmp_path):
    for part in ("Train", "Test"):
        folder = tmp_path / "DVSGesture" / f"ibmGesture{part}" / "user01_fluorescent"
        folder.mkdir(parents=True)
        for label in (0, 10):
            columns = np.stack([EVENTS[:, 1], EVENTS[:, 2], EVENTS[:, 3], EVENTS[:, 0] / 1000], axis=1)
            np.save(folder / f"{label}.npy", columns)
    check(load_dataset("dvs128-gesture", tmp_path, steps=2), [0, 10])


def test_gestures_are_cut_out_of_the_files_as_they_are_distributed(tmp_path):
    folder = tmp_path / "DVS128Gesture" / "DvsGesture"
    folder.mkdir(parents=True)
    session = np.concatenate([EVENTS, EVENTS + 10_000 * np.eye(4, dtype=int)[0], EVENTS + 50_000])
    packet = b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in session[:6].tolist())
    for user in ("user01_led", "user24_led"):
        head = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + struct.pack("<HHIIIIII", 1, 0, 8, 4, 0, 6, 6, 6)
        (folder / f"{user}.aedat").write_bytes(head + packet)
        (folder / f"{user}_labels.csv").write_text("class,startTime_usec,endTime_usec\n11,11000,15001\n1,1000,5001\n")
    (folder / "trials_to_train.txt").write_text("user01_led.aedat\n\n")
    (folder / "trials_to_test.txt").write_text("user24_led.aedat\n")
    check(load_dataset("dvs128-gesture", tmp_path, steps=2), [0, 10])
    (folder / "user24_led_labels.csv").write_text("class\n1;2;3\n")
    with pytest.raises(InputError, match=r"user24_led_labels\.csv is not a table of gestures \(.*\): fetch it again"):
        load_dataset("dvs128-gesture", tmp_path, steps=2)
    (folder / "trials_to_test.txt").write_text("")
    with pytest.raises(InputError, match=r"trials_to_test\.txt names no files: fetch it again"):
        load_dataset("dvs128-gesture", tmp_path, steps=2)


CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def test_cifar10_dvs_is_split_by_the_numbers_of_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr(neuromorphic, "CIFAR_TRAIN", 1)
    write_spikingjelly(tmp_path / "CIFAR10DVS" / "events_np", CIFAR10, count=2)
    check(load_dataset("cifar10-dvs", tmp_path, steps=2), list(range(10)))


def test_cifar10_dvs_is_found_as_it_is_distributed(tmp_path, monkeypatch):
    monkeypatch.setattr(neuromorphic, "CIFAR_TRAIN", 10)
    for name in CIFAR10:
        (tmp_path / name).mkdir()
        for number in range(11):
            events = [(127 - x) << 8 | (127 - y) << 1 | 1 - p for t, x, y, p in EVENTS.tolist()]
            times = [t + number for t in EVENTS[:, 0].tolist()]
            content = b"".join(struct.pack(">II", *pair) for pair in zip(events, times, strict=True))
            (tmp_path / name / f"cifar10_{name}_{number}.aedat").write_bytes(b"#!AER-DAT2.0\r\n" + content)
    data = load_dataset("cifar10-dvs", tmp_path, steps=2)
    assert len(data.train) == 100
    assert np.array_equal(data.test.images[0], data.train.images[0]) and data.test.labels.tolist() == list(range(10))


def test_cifar10_dvs_without_all_its_files_is_refused(tmp_path):
    write_spikingjelly(tmp_path, CIFAR10, count=2)
    with pytest.raises(
        InputError, match=r"airplane holds 2 recordings \(\.npz or \.aedat\), but CIFAR10-DVS has 1000 of"
    ):
        load_dataset("cifar10-dvs", tmp_path, steps=2)


def write_shd(path: Path, labels: list[int], times: list[list[float]], units: list[list[int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["labels"] = np.array(labels, np.uint16)
        for name, rows, dtype in (("times", times, np.float16), ("units", units, np.uint16)):
            made = file.create_dataset(f"spikes/{name}", (len(rows),), h5py.vlen_dtype(dtype))
            for index, row in enumerate(rows):
                made[index] = np.array(row, dtype)


@pytest.mark.parametrize("place", ["SHD", "shd", "SHD/extract", "."])
def test_shd_is_found_with_one_row_of_700_units(tmp_path, place):
    for part in ("train", "test"):
        write_shd(tmp_path / place / f"shd_{part}.h5", [19, 3], [[0.0, 0.25, 1.0], [0.5]], [[699, 1, 0], [8]])
    data = load_dataset("shd", tmp_path, steps=4)
    assert data.input_shape == (1, 1, 700) and len(data.classes) == 20
    assert data.train.labels.tolist() == [3, 19]
    assert np.argwhere(data.train.images[1]).tolist() == [[0, 0, 0, 699], [1, 0, 0, 1], [3, 0, 0, 0]]
    assert data.train.images[0, 0, 0, 0, 8] == 1


@pytest.mark.parametrize(
    ("labels", "times", "units", "said"),
    [
        (
            [0],
            [[0.1]],
            [[700]],
            "recording 0 of .* has an event at x = 700, .* this sensor has 700x1 pixels, polarity 0, ",
        ),
        ([0], [[0.1, 0.2]], [[7]], "recording 0 has 2 times for 1 units, or times that are not finite"),
        ([0], [[np.nan]], [[7]], "recording 0 has 1 times for 1 units, or times that are not finite"),
        ([20], [[0.1]], [[7]], "it has the label 20, and labels are 0 to 19"),
        ([0, 1], [[0.1]], [[7]], r"its labels, times and units have the shapes \(2,\), \(1,\), \(1,\)"),
        ([0], [[]], [[]], "recording 0 of .* holds 0 events, but a recording needs at least 1"),
    ],
)
def test_a_file_of_shd_that_is_damaged_is_refused(tmp_path, labels, times, units, said):
    for part in ("train", "test"):
        write_shd(tmp_path / f"shd_{part}.h5", labels, times, units)
    with pytest.raises(InputError, match=said):
        load_dataset("shd", tmp_path, steps=2)


def test_a_file_of_shd_without_lists_of_numbers_is_refused(tmp_path):
    for part in ("train", "test"):
        with h5py.File(tmp_path / f"shd_{part}.h5", "w") as file:
            file["labels"], file["spikes/times"], file["spikes/units"] = np.zeros(2), np.zeros(2), np.zeros(2)
    with pytest.raises(InputError, match="its labels are no whole numbers, or its times and units no lists of numbers"):
        load_dataset("shd", tmp_path, steps=2)


def test_a_file_of_shd_that_is_cut_short_is_refused(tmp_path):
    for part in ("train", "test"):
        write_shd(tmp_path / f"shd_{part}.h5", [1], [[0.1]], [[7]])
    path = tmp_path / "shd_train.h5"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match=r"shd_train\.h5 (is not a whole|cannot be).*: fetch it again"):
        load_dataset("shd", tmp_path, steps=2)
