"""Event recordings: read from their bytes, binned to counts, and refused in a sentence when they are not whole."""

import contextlib
import gzip
import io
import struct
import tarfile

import numpy as np
import pytest
from hypothesis import given, strategies as st

from neuroprune.data import recordings as recordings_module
from neuroprune.data.events import parse_aedat, parse_aedat2, parse_aedat3, parse_nmnist, parse_npy, parse_npz
from neuroprune.data.recordings import bin_events, binned, read_nmnist, read_poker, recordings_in, sensor_of
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
    ("data", "reason"),
    [
        (b"", "EOF: reading magic string, expected 8 bytes got 0"),
        (b"garbage, and more", "the magic string is not correct"),
        (poker_bytes(recording(3, 9, (4, 4)))[:50], "EOF: reading array header"),
        (poker_bytes(recording(3, 9, (4, 4)))[:-1], "it holds 95 of 96 bytes of values"),
        (with_header(shape=(10**9 - 1, 4)), "its header states 31999999968 bytes of values, and at most 268435456 are"),
        (with_header(shape=(1 << 60, 4)), "its header states 36893488147419103232 bytes of values, and at most"),
        (with_header(shape=(-1, 4)), r"its header states the shape \(-1, 4\)"),
        (with_header(shape=(1,)), r"it holds an array uint64 of the shape \(1,\), but events are \[events, 4\]"),
        (with_header(descr="|O"), "it holds Python objects, which only unpickling would give, and that is never done"),
        (with_header(descr="|S1"), r"its t are \|S1 of the shape \(2,\) for 2 events"),
        (b"\x93NUMPY\x03\x00" + bytes(20), "it is of version 3.0 of its format, and 1.0 and 2.0 are read"),
    ],
)
def test_a_file_that_is_no_array_of_events_is_refused(data, reason):
    with pytest.raises(InputError, match=rf"^x is not a \.npy file of events \({reason}.*\): fetch it again$"):
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


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_records_with_fields_and_floats_that_are_whole_are_events_too():
    events = recording(50, 30_000, (9, 8))
    fields = [("x", "i2"), ("y", "i2"), ("t", "f8"), ("p", "?")]
    records = np.array([(x, y, t, p) for t, x, y, p in events.tolist()], fields)
    assert np.array_equal(parse_npy(saved(records), "x"), events)
    assert np.array_equal(parse_npy(saved(np.asfortranarray(events.astype(np.float32))), "x"), events)
    without = np.array([(t, x) for t, x, _, _ in events.tolist()], [("t", "u4"), ("x", "u2")])
    one_row = parse_npy(saved(without), "x")
    assert np.array_equal(one_row[:, :2], events[:, :2]) and not one_row[:, 2:].any()


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([[0.5, 1, 1, 1]]), "its t are not all whole numbers; times are in microseconds"),
        (np.array([[np.nan, 1, 1, 1]]), "its t are not all whole numbers"),
        (np.zeros(2, [("t", "i8"), ("y", "i8")]), "it has no x, but events have t, x, y and p"),
        (np.zeros(2, [("t", "i8", 3), ("x", "i8")]), r"its t are int64 of the shape \(2, 3\) for 2 events"),
    ],
)
def test_arrays_that_are_no_events_say_why(array, reason):
    with pytest.raises(InputError, match=rf"^x is not a \.npy file of events \({reason}"):
        parse_npy(saved(array), "x")


def test_events_that_spikingjelly_unpacked_are_read_without_pickles():
    events = recording(50, 30_000, (9, 8))
    stream = io.BytesIO()
    np.savez(stream, **dict(zip("txyp", events.T, strict=True)))
    assert np.array_equal(parse_npz(stream.getvalue(), "x"), events)
    stream = io.BytesIO()
    np.savez(stream, t=np.array([print], object), x=np.array([1]))
    with pytest.raises(
        InputError, match=r"^x is not a \.npz file of events \(it holds Python objects, which only unpi"
    ):
        parse_npz(stream.getvalue(), "x")


def aedat2_bytes(events: np.ndarray) -> bytes:
    """Event by event, as SpikingJelly's reader of CIFAR10-DVS takes the address apart."""
    packed = b"#!AER-DAT2.0\r\n# a line\r\n"
    for t, x, y, polarity in events.tolist():
        packed += struct.pack(">II", (127 - x) << 8 | (127 - y) << 1 | 1 - polarity, t)
    return packed


def aedat3_bytes(events: np.ndarray, overflow: int = 0) -> bytes:
    """Packets of at most 7 events, with one of another kind before them."""
    packed = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n" + struct.pack("<HHIIIIII", 3, 0, 16, 0, 0, 1, 1, 1)
    packed += bytes(16)
    for start in range(0, len(events), 7):
        packet = events[start : start + 7].tolist()
        packed += struct.pack("<HHIIIIII", 1, 0, 8, 4, overflow, len(packet), len(packet), len(packet))
        packed += b"".join(struct.pack("<II", x << 17 | y << 2 | polarity << 1 | 1, t) for t, x, y, polarity in packet)
    return packed


def test_events_come_back_from_both_versions_of_aedat():
    events = recording(30, 90_000, (128, 128))
    assert np.array_equal(parse_aedat(aedat2_bytes(events), "x"), events)
    assert np.array_equal(parse_aedat(aedat3_bytes(events), "x"), events)
    assert np.array_equal(parse_aedat3(aedat3_bytes(events), "x"), events)
    assert np.array_equal(parse_aedat3(aedat3_bytes(events, 1), "x") - events, np.eye(4, dtype=int)[[0] * 30] << 31)


def test_version_4_of_aedat_is_refused_with_what_reads_it():
    with pytest.raises(
        InputError, match=r"^x is of AEDAT 4, which is not read: read its events with the package aedat"
    ):
        parse_aedat(b"#!AER-DAT4.0\r\n", "x")


def test_an_aedat_file_that_is_not_whole_is_refused():
    events = recording(30, 90_000, (128, 128))
    with pytest.raises(InputError, match=r"^x holds 239 bytes of events after the heading b'#!AER-DAT2.', but an AE"):
        parse_aedat2(aedat2_bytes(events)[:-1], "x")
    with pytest.raises(
        InputError, match=r"^x holds 0 bytes of events after the heading b'', but an AEDAT file of vers"
    ):
        parse_aedat2(b"", "x")
    with pytest.raises(
        InputError, match=r"^x is not an AEDAT file of version 3.1 \(a packet states 16 bytes of events, "
    ):
        parse_aedat3(aedat3_bytes(events)[:-1], "x")
    with pytest.raises(
        InputError, match=r"^x is not an AEDAT file of version 3.1 \(it begins with b'hello'\): fetch it"
    ):
        parse_aedat3(b"hello", "x")
    damaged = aedat3_bytes(events)
    with pytest.raises(
        InputError, match=r"^x is not an AEDAT file of version 3.1 \(its events are of 4 bytes, not 8\)"
    ):
        parse_aedat3(damaged.replace(struct.pack("<HHI", 1, 0, 8), struct.pack("<HHI", 1, 0, 4)), "x")


def test_the_sensor_of_recordings_is_the_smallest_that_saw_them(tmp_path):
    for name, place in (("a", (5, 2)), ("b", (1, 6))):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "0.npy", np.array([[0, *place, 1]]))
    assert sensor_of(recordings_in(tmp_path)) == (2, 7, 6)
    np.save(tmp_path / "a" / "0.npy", np.array([[0, 5000, 0, 1]]))
    with pytest.raises(InputError, match=r"0\.npy has an event at x = 5000, y = 0 .* this sensor has 2048x2048 pixels"):
        sensor_of(recordings_in(tmp_path))


def test_more_bytes_of_frames_than_are_taken_are_refused_before_any_is_read(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.npy").write_bytes(b"never read")
    with pytest.raises(InputError, match=r"1 recordings as 1000000 frames of \(2, 128, 128\) .* take 32768000000"):
        binned(recordings_in(tmp_path), ("a",), 1_000_000, (2, 128, 128))
