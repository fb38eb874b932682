"""Event recordings: read from their bytes, binned to counts, and refused in a sentence when they are not whole."""

import contextlib
import gzip
import io
import tarfile

import numpy as np
import pytest
from hypothesis import given, strategies as st

from neuroprune.data import recordings as recordings_module
from neuroprune.data.events import parse_nmnist, parse_npy
from neuroprune.data.recordings import bin_events, read_nmnist, read_poker
from neuroprune.errors import InputError

RNG = np.random.default_rng(0)


def recording(count: int, duration: int, size: tuple[int, int]) -> np.ndarray:
    """[events, 4] of time, x, y, polarity, sorted by time."""
    height, width = size
    columns = [
        np.sort(RNG.integers(0, duration, count)),
        *(RNG.integers(0, limit, count) for limit in (width, height, 2)),
    ]
    return np.stack(columns, axis=1).astype(np.int64)


def nmnist_bytes(events: np.ndarray) -> bytes:
    """Event by event, as N-MNIST's authors describe the format."""
    packed = b""
    for t, x, y, polarity in events.tolist():
        packed += bytes([x, y]) + (polarity << 23 | t).to_bytes(3, "big")
    return packed


def poker_bytes(events: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, events.astype(np.uint64))
    return stream.getvalue()


def counted_one_by_one(events: np.ndarray, steps: int, size: tuple[int, int]) -> np.ndarray:
    """Slices of (last - first) // steps us, at least 1; what comes after the last one belongs to it."""
    counts = np.zeros((steps, 2, *size), int)
    first, last = int(events[:, 0].min()), int(events[:, 0].max())
    duration = max(1, (last - first) // steps)
    for t, x, y, polarity in events.tolist():
        step = 0
        while step < steps - 1 and t >= first + (step + 1) * duration:
            step += 1
        counts[step, polarity, y, x] += 1
    return np.minimum(counts, 255)


@given(st.integers(1, 200), st.integers(1, 400), st.integers(1, 12))
def test_every_event_is_counted_in_its_slice_and_place(count, duration, steps):
    events = recording(count, duration, (3, 5))
    frames = bin_events(events, steps, (2, 3, 5))
    assert frames.dtype == np.uint8
    assert np.array_equal(frames, counted_one_by_one(events, steps, (3, 5)))
    assert frames.sum() == count


def test_the_order_of_events_does_not_matter():
    events = recording(300, 1000, (4, 4))
    assert np.array_equal(bin_events(events[::-1], 6, (2, 4, 4)), bin_events(events, 6, (2, 4, 4)))


@pytest.mark.parametrize(("events", "counted"), [(255, 255), (256, 255), (700, 255)])
def test_counts_stop_at_what_a_byte_holds(events, counted):
    repeated = np.tile(np.array([[10, 1, 0, 1]]), (events, 1))
    assert bin_events(repeated, 3, (2, 1, 2))[0, 1, 0, 1] == counted


def test_nmnist_events_come_back_from_their_bytes():
    events = recording(500, 1 << 23, (34, 34))
    assert np.array_equal(parse_nmnist(nmnist_bytes(events), "x"), events)


def test_a_record_of_row_240_adds_to_all_times_behind_it():
    events = np.array([[5, 1, 2, 0], [0, 0, 240, 0], [6, 3, 4, 1], [9, 0, 240, 1], [7, 5, 6, 0]])
    expected = [[5, 1, 2, 0], [6 + 8192, 3, 4, 1], [7 + 2 * 8192, 5, 6, 0]]
    assert parse_nmnist(nmnist_bytes(events), "x").tolist() == expected


def test_poker_events_come_back_from_their_file():
    events = recording(500, 30_000, (35, 35))
    assert np.array_equal(parse_npy(poker_bytes(events), "x"), events)


def with_header(**changes: object) -> bytes:
    """A .npy file whose header says something else than its 8 bytes."""
    stream = io.BytesIO()
    header = {"descr": "<u8", "fortran_order": False, "shape": (2, 4), **changes}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + bytes(8)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            b"",
            r"x begins with the bytes \(none\), but not with a \.npy header of uint64 \[events, 4\], as a re",
        ),
        (b"garbage, and more", "x begins with the bytes 67 61 72 62 61 67 65 2c 20 61, but not with a"),
        (poker_bytes(recording(3, 9, (4, 4)))[:50], "x begins with the bytes 93 4e 55 4d 50 59 01 00 76 00, but not"),
        (poker_bytes(recording(3, 9, (4, 4)))[:-1], "x holds 95 bytes of events, but its header promises 96: fetch it"),
        (with_header(shape=(10**9 - 1, 4)), "x holds 8 bytes of events, but its header promises 31999999968"),
        (with_header(shape=(1 << 60, 4)), "but not with a"),
        (with_header(shape=(-1, 4)), "but not with a"),
        (with_header(shape=(8,)), "but not with a"),
        (with_header(descr="|O"), "but not with a"),
        (with_header(descr="<f8"), "but not with a"),
        (with_header(fortran_order=True), "but not with a"),
    ],
)
def test_a_poker_file_that_is_not_whole_is_refused(data, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_npy(data, "x")


def test_no_damage_to_a_poker_file_gives_anything_but_events_or_a_sentence():
    whole = poker_bytes(recording(4, 9, (4, 4)))
    for place in range(128):
        for value in RNG.integers(0, 256, 8).tolist():
            damaged = whole[:place] + bytes([value]) + whole[place + 1 :]
            with contextlib.suppress(InputError):
                assert parse_npy(damaged, "x").shape[1] == 4


def test_a_truncated_nmnist_file_is_refused(tmp_path):
    path = tmp_path / "3" / "00001.bin"
    path.parent.mkdir()
    path.write_bytes(nmnist_bytes(recording(7, 100, (34, 34)))[:-2])
    with pytest.raises(
        InputError, match=r"00001\.bin holds 33 bytes, which is not a whole number of events of 5 bytes: f"
    ):
        read_nmnist(tmp_path, 2)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ((3, 34, 0, 0), "x = 34, y = 0 of polarity 0 after 3 us"),
        ((3, 0, 34, 0), "x = 0, y = 34 of polarity 0 after 3 us"),
    ],
)
def test_events_outside_the_sensor_are_refused(tmp_path, event, said):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "a.bin").write_bytes(nmnist_bytes(np.array([(0, 33, 33, 1), event])))
    with pytest.raises(
        InputError, match=rf"a\.bin has an event at {said}, but this sensor has 34x34 pixels, polarities"
    ):
        read_nmnist(tmp_path, 2)


@pytest.mark.parametrize("event", [(3, 35, 0, 0), (3, 0, 0, 2), (1 << 63, 0, 0, 0), (3, 1 << 63, 0, 0)])
def test_numbers_that_no_event_has_are_refused(tmp_path, event):
    (tmp_path / "he").mkdir()
    np.save(tmp_path / "he" / "0.npy", np.array([event], np.uint64))
    with pytest.raises(
        InputError, match=r"0\.npy has an event at .* but this sensor has 35x35 pixels, polarities 0 and 1, "
    ):
        read_poker(tmp_path, 2)


def test_a_recording_without_events_is_refused(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "a.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.bin holds 0 events, but a recording needs at least 1: fetch it again"):
        read_nmnist(tmp_path, 2)


def archive(path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))


def test_an_archive_is_read_in_an_order_of_its_own_and_writes_nothing(tmp_path):
    first, second = recording(9, 90, (35, 35)), recording(9, 90, (35, 35))
    archive(
        tmp_path / "a.tar.gz",
        {"../sp/0.npy": poker_bytes(second), "/cl/0.npy": poker_bytes(first), "x/notes/1.npy": b"?", "cl/readme": b"?"},
    )
    split = read_poker(tmp_path / "a.tar.gz", 3)
    assert split.labels.tolist() == [0, 3]
    assert np.array_equal(split.images[1], bin_events(second, 3, (2, 35, 35)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("keep", [0, 5, 100, 300, 700])
def test_a_truncated_archive_is_refused(tmp_path, keep):
    path = tmp_path / "a.tar.gz"
    archive(path, {f"cl/{number}.npy": poker_bytes(recording(20, 90, (35, 35))) for number in range(5)})
    assert path.stat().st_size > keep
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"a\.tar\.gz is not a whole gzipped tar archive \(.*\): fetch it again"):
        read_poker(path, 2)


def test_an_archive_is_unpacked_up_to_its_allowance(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings_module, "LARGEST_ARCHIVE", 1 << 20)
    archive(tmp_path / "a.tar.gz", {"notes": bytes(1 << 21), "cl/0.npy": poker_bytes(recording(9, 90, (35, 35)))})
    with pytest.raises(InputError, match=r"gzipped tar archive \(it holds more than the 1048576 bytes that are read"):
        read_poker(tmp_path / "a.tar.gz", 2)


def test_a_recording_of_more_than_its_allowance_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings_module, "LARGEST", 300)
    archive(tmp_path / "a.tar.gz", {"cl/0.npy": poker_bytes(recording(90, 90, (35, 35)))})
    with pytest.raises(InputError, match=r"gzipped tar archive \(it holds more than the 300 bytes that are read"):
        read_poker(tmp_path / "a.tar.gz", 2)
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "a.bin").write_bytes(bytes(305))
    with pytest.raises(
        InputError, match=r"a\.bin is not a recording \(it holds 305 bytes, and at most 300 are read\): fetch"
    ):
        read_nmnist(tmp_path, 2)


@pytest.mark.parametrize("size", [1 << 40, (1 << 62) + 1])
def test_an_archive_that_states_more_than_it_holds_is_refused_at_once(tmp_path, size):
    member = tarfile.TarInfo("notes")
    member.size = size
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(
        InputError, match=r"a\.tar\.gz is not a whole gzipped tar archive \(unexpected end of data\): fetch"
    ):
        read_poker(tmp_path / "a.tar.gz", 2)
