"""The boundary for files: any failure is one sentence, short and harmless, and nothing is read beyond its allowance."""

import gzip
import json
import os
from pathlib import Path

import pytest

from neuroprune.documents import LARGEST_YAML, read_json, read_yaml
from neuroprune.errors import InputError, OutputError
from neuroprune.excerpts import capped, excerpt, harmless
from neuroprune.reading import check_spread, is_file, read_bytes, read_unpacked, reading


class PanicException(BaseException):
    """Called as that of libraries written in Rust, which is no Exception either."""


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("odd"), r"is not whole \(odd\)"),
        (ValueError(), r"is not whole \(ValueError\)"),
        (ValueError("a\n  b\x1b[31m"), "is not whole \\(a b\N{REPLACEMENT CHARACTER}\\[31m\\)"),
        (ValueError("x" * 9999), r"is not whole \(x{159}…\)"),
        (TypeError(["anything"]), r"is not whole \(TypeError\)"),
        (KeyError("name"), r"is not whole \('name' is missing\)"),
        (KeyError("a sentence of h5py"), r"is not whole \(a sentence of h5py\)"),
        (MemoryError(), r"is not whole \(it needs more memory than there is\)"),
        (RecursionError("maximum"), r"is not whole \(it is nested too deeply\)"),
        (AssertionError(), r"is not whole \(AssertionError\)"),
        (PanicException("index out of bounds"), r"is not whole \(index out of bounds\)"),
        (FileNotFoundError(2, "No such file or directory"), r"cannot be read \(No such file or directory\)"),
        (gzip.BadGzipFile("Not a gzipped file"), r"is not whole \(Not a gzipped file\)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_any_failure_is_a_sentence(error: BaseException, reason: str) -> None:
    with (
        pytest.raises(InputError, match=rf"^a\.bin {reason}: fetch it again$"),
        reading("a.bin", "whole", "fetch it again"),
    ):
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), OutputError("of ours")])
def test_what_ends_a_program_and_errors_of_ours_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, reading("a.bin", "whole", "fetch it again"):
        raise error
    assert caught.value is error


def test_the_name_of_a_file_is_harmless_too(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, reading(tmp_path / "a\x1b[2J\nError: b", "whole", "fetch it again"):
        raise ValueError
    assert str(caught.value).isprintable()


def test_a_file_is_read_up_to_its_allowance(tmp_path: Path) -> None:
    path = written(tmp_path, bytes(100))
    assert read_bytes(path, 100) == bytes(100)
    with pytest.raises(ValueError, match="it holds 100 bytes, and at most 99 are read"):
        read_bytes(path, 99)


def test_folders_and_pipes_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it is a folder"):
        read_bytes(tmp_path, 10)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="it is no regular file"):
        read_bytes(tmp_path / "pipe", 10)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_there_is_no_file_of_an_impossible_name(name: str) -> None:
    assert not is_file(Path(name))


def test_a_gzipped_file_is_unpacked_up_to_its_allowance(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(bytes(1 << 24)))
    assert read_unpacked(path, 1 << 24) == bytes(1 << 24)
    with pytest.raises(ValueError, match="it holds more than the 1048576 bytes that are read"):
        read_unpacked(path, 1 << 20)


def test_what_is_named_repeatedly_counts_each_time() -> None:
    value: list[object] = []
    for _ in range(9):
        value = [value, value]
    check_spread(value, lambda each: each, 1023)
    with pytest.raises(ValueError, match="it stands for more than the 1022 values that are read"):
        check_spread(value, lambda each: each, 1022)
    value.append(value)
    with pytest.raises(ValueError, match="it holds a value that holds itself"):
        check_spread(value, lambda each: each, 10**9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "it has the key 'a' twice"),
        ("[NaN]", "it holds NaN, which is no number of JSON"),
        ("[-Infinity]", "it holds -Infinity, which is no number of JSON"),
        ("[1e999]", "it holds inf, which is no finite number"),
        ("1" * 5000, "it holds a whole number of 5000 digits"),
        ("[18446744073709551616]", "it holds a whole number of 65 bits, and at most 64 are read"),
        ("[" * 100 + "]" * 100, "it is nested deeper than 30 levels"),
        ("[" * 100_000, "it is nested too deeply"),
        ('["\\ud800"]', r"it holds the text '\\ud800', which no UTF-8 can write"),
        ("[1", "Expecting ',' delimiter: line 1 column 3"),
        (b"\xff", "it is not UTF-8 text"),
    ],
)
def test_json_that_nobody_can_compute_with_is_refused(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(InputError, match=rf"file is not whole JSON \({reason}.*\): restore it$"):
        read_json(written(tmp_path, text), "restore it")


def test_json_comes_back(tmp_path: Path) -> None:
    value = {"a": [1, -(2**63), 0.5, None, True, "ä"], "b": {"a": {}}}
    assert read_json(written(tmp_path, json.dumps(value)), "restore it") == value


def bomb(opening: str, closing: str) -> str:
    levels = [f"v{n}: &v{n} {opening}{', '.join(['*v' + str(n - 1)] * 9)}{closing}" for n in range(1, 12)]
    return "\n".join(["v0: &v0 {a: 1}", *levels])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (bomb("[", "]"), "it stands for more than the 20000 values that are read"),
        (bomb("{<<: [", "]}"), "it stands for more than the 20000 values that are read"),
        ("&a [*a]", "it holds a value that holds itself"),
        ("a: 1\na: 2", "it has the key 'a' twice"),
        ("a: !!int abc", "invalid literal for int"),
        ("a: 2001-02-30", "day is out of range for month"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor for the tag .* in line 1"),
        ("[" * 40 + "]" * 40, "it is nested deeper than 30 levels"),
        ("[" * 5000, "it is nested deeper than 30 levels"),
        ("a: .inf", "it holds inf, which is no finite number"),
        ("a: 0x" + "f" * 5000, "it holds a whole number of 20000 bits, and at most 64 are read"),
        ("? [a]\n: b", "found unhashable key in line 1"),
        ('a: "\\ud800"', r"it holds the text '\\ud800', which no UTF-8 can write"),
        ("#" * (LARGEST_YAML + 1), "it holds 65537 bytes, and at most 65536 are read"),
    ],
)
def test_yaml_that_is_no_plain_value_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"^recipe x is not valid YAML \({reason}.*\): correct it$"):
        read_yaml(written(tmp_path, text), "correct it", "recipe x")


def test_yaml_of_aliases_and_merge_keys_comes_back(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]\n"
    same = {"x": 1, "y": 2}
    assert read_yaml(written(tmp_path, text), "correct it") == {"a": same, "b": {"x": 1, "y": 3}, "c": [same, same]}
    assert read_yaml(written(tmp_path, ""), "correct it") is None


def test_excerpts_are_short_and_take_no_time() -> None:
    value: list[object] = ["x" * 10**6, 10**5000]
    for _ in range(60):
        value = [value] * 9
    assert len(excerpt(value)) < 160
    assert excerpt(10**5000) == "a whole number of 16610 bits"
    assert excerpt({"key": ["a", 1, None, 0.5]}) == "{'key': ['a', 1, None, 0.5]}"
    assert excerpt(object()) == "<object>"
    assert excerpt("\x1b[31m") == r"'\x1b[31m'"
    assert capped("a\x9b  b\n" + "c" * 200, 10) == "a\N{REPLACEMENT CHARACTER} b cccc…"


def test_harmless_text_keeps_what_people_read() -> None:
    text = "Größe 100\N{NO-BREAK SPACE}000, 測試 ▶"
    assert harmless(text) == text
    assert harmless("a\nb\tc", lines=True) == "a\nb\N{REPLACEMENT CHARACTER}c"
    assert harmless("a\nb") == "a\N{REPLACEMENT CHARACTER}b"
