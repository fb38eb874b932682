"""Lava's own fixed-point process models against the oracle and the engine, and what happens when Lava does not work."""

import dataclasses
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from programs import (
    NEURON,
    Case,
    conv,
    dense,
    joined,
    later,
    program_of,
    random_frames,
    random_program,
    random_weights,
    with_bias,
)

from neuroprune.errors import InputError, LavaError
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.simulation import lava_job, lava_process
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record
from neuroprune.simulation.lava import Models, own_models, record_all_with_lava, record_with_lava
from neuroprune.simulation.lava_process import start_worker
from neuroprune.simulation.reference import reference_record
from neuroprune.simulation.types import Record


def leaky(**registers: int | str) -> IntCubaLif:
    return dataclasses.replace(NEURON, **registers)


def branches() -> Case:
    """Every kind of layer on paths of several lengths."""
    rng = np.random.default_rng(0)
    shape = (4, 7, 6)
    biases = with_bias(leaky(vth=2000), [-4096, 4095, -1, 1])
    tall = conv("tall", "input", shape, random_weights(rng, (4, 4, 5, 3), 256), (2, 1), (2, 0), neuron=biases)
    grouped = conv("grouped", "tall", tall.shape, random_weights(rng, (6, 2, 2, 2), 256), groups=2, dilation=(1, 2))
    flat = dense("flat", "grouped", grouped.shape, random_weights(rng, (5, int(np.prod(grouped.shape))), 60))
    after = dense("after", "flat", flat.shape, random_weights(rng, (3, 5), 256), leaky(decay_v=0, vth=100))
    size = int(np.prod(shape))
    rails = dense("rails", "input", shape, np.where(rng.random((4, size)) < 0.5, -256, 254), leaky(decay_v=0, vth=9))
    falling = dense("falling", "input", shape, np.full((2, size), -256), with_bias(leaky(vth=131071), [0], 7))
    nothing = dense("nothing", "falling", falling.shape, np.zeros((2, 2)), with_bias(leaky(vth=100), [40, 4000]))
    slow = conv(
        "slow", "input", shape, random_weights(rng, (2, 4, 1, 3), 60), neuron=with_bias(leaky(decay_u=100), [0], 0)
    )
    pool = conv("pool", "tall", tall.shape, np.full((4, 1, 2, 2), 64), (2, 2), groups=4, neuron=leaky(decay_v=0, vth=0))
    long_way = dense("sum", "after", after.shape, random_weights(rng, (6, 3), 256), leaky(reset="subtract", vth=80))
    short_way = dense("sum", "input", shape, random_weights(rng, (6, size), 4))
    twice = [dense("sum", "flat", flat.shape, random_weights(rng, (6, 5), 60)) for _ in "ab"]
    total = joined(long_way, short_way, *twice)
    program = program_of(tall, grouped, flat, after, rails, falling, nothing, slow, pool, total, steps=3)
    frames = random_frames(rng, 3, shape)
    frames[1] = -128
    return program, frames


def delays() -> Case:
    """Spikes that come from the input, a layer and a layer's bias, and some of them after the end of their sample."""
    rng = np.random.default_rng(1)
    shape = (2, 4, 4)
    neuron = with_bias(leaky(decay_u=2000, decay_v=100, vth=3000), rng.integers(500, 4096, 3))
    first = conv("first", "input", shape, random_weights(rng, (3, 2, 3, 3), 60), neuron=neuron)
    second = joined(
        later(conv("second", "first", first.shape, random_weights(rng, (3, 3, 1, 1), 256), neuron=neuron), 2),
        later(conv("second", "input", shape, random_weights(rng, (3, 2, 3, 3), 60)), 1),
        conv("second", "first", first.shape, random_weights(rng, (3, 3, 1, 1), 60)),
    )
    third = later(dense("third", "second", second.shape, random_weights(rng, (3, 12), 256), neuron), 4)
    fourth = joined(
        later(dense("fourth", "first", first.shape, random_weights(rng, (4, 12), 256)), 3),
        dense("fourth", "third", (3,), random_weights(rng, (4, 3), 256)),
    )
    return program_of(first, second, third, fourth, steps=4), random_frames(rng, 4, shape)


def binary_sequences() -> Case:
    """A frame of spikes without a value for each step."""
    rng = np.random.default_rng(2)
    first = conv("first", "input", (2, 5, 4), random_weights(rng, (4, 2, 3, 2), 256), padding=(1, 1))
    out = joined(
        dense("out", "first", first.shape, random_weights(rng, (3, int(np.prod(first.shape))), 60)),
        dense("out", "input", (2, 5, 4), random_weights(rng, (3, 40), 60)),
    )
    program = program_of(first, out, steps=5, bits=0, sequence=True)
    return program, (rng.random((3, 5, 2, 5, 4)) < 0.3).astype(np.int8)


def beyond() -> Case:
    """Conv sums wrap at 24 bits; a dense layer's only where 64 times the sum leaves an int32."""
    deep = conv("deep", "input", (60, 3, 6), np.full((1, 60, 3, 3), -256))
    wide = dense("wide", "input", (60, 3, 6), np.array([[-256] * 1080, [254] * 1080]))
    kept = dense("kept", "input", (60, 3, 6), np.array([[-256] * 1080, [254] * 1080]), leaky(decay_u=0))
    return program_of(deep, wide, kept), np.full((1, 60, 3, 6), -128, np.int8)


def many_groups() -> Case:
    """More than Lava counts to."""
    rng = np.random.default_rng(3)
    layer = conv("pool", "input", (256, 2, 3), random_weights(rng, (512, 1, 2, 2), 256), groups=256)
    return program_of(layer, steps=1), random_frames(rng, 1, (256, 2, 3))


CASES = (branches, delays, binary_sequences, beyond, many_groups)


@pytest.fixture(scope="module", params=["stock", "fast"])
def records(request: pytest.FixtureRequest) -> list[Record]:
    return record_all_with_lava([make() for make in CASES], 300, models=request.param, every_step=True)


@pytest.mark.parametrize("make", CASES)
def test_lava_agrees(make: Callable[[], Case], records: list[Record]) -> None:
    found = records[CASES.index(make)]
    assert all(layer.u is not None and layer.v is not None for layer in found.layers)
    compare(reference_record(*make()), found)
    compare(record(*make(), every_step=True), found)


def test_lavas_runtime_agrees_on_random_programs() -> None:
    """Many more of them in test_fuzz.py, where Lava's process models run without its runtime."""
    cases = [random_program(seed) for seed in range(16)]
    assert any(program.layers[0].neuron.state_bits < 24 for program, _ in cases)
    for case, found in zip(cases, record_all_with_lava(cases, 300, models="stock", every_step=True), strict=True):
        compare(reference_record(*case), found)


def test_results_do_not_depend_on_the_order_of_samples() -> None:
    """Layers start on a sample at different chip steps, and the biases work before the first one arrives."""
    program, frames = delays()
    forward, backward = record_all_with_lava([(program, frames), (program, frames[::-1].copy())])
    for there, back in zip(forward.layers, backward.layers, strict=True):
        assert there.u is None and there.v is None
        np.testing.assert_array_equal(there.spikes, back.spikes[::-1])
        np.testing.assert_array_equal(there.voltages, back.voltages[::-1])
    compare(reference_record(program, frames), forward)


@pytest.mark.parametrize(
    ("make", "models", "sentences"),
    [
        (branches, "fast", ("Convolutions are matrix", "Soft reset subtracts the threshold", "Spikes that wait")),
        (branches, "stock", ("Soft reset subtracts the threshold", "Spikes that wait")),
        (delays, "stock", ("Spikes that wait for a longer path, or are delayed, go through delay lines",)),
        (beyond, "fast", ("Convolutions are matrix products of the same integers, tested against Lava's own model.",)),
        (beyond, "stock", ()),
    ],
)
def test_own_process_models_are_reported(make: Callable[[], Case], models: Models, sentences: tuple[str, ...]) -> None:
    reported = own_models(make()[0], models)
    assert len(reported) == len(sentences)
    assert all(one.startswith(sentence) for one, sentence in zip(reported, sentences, strict=True))


def test_the_worker_needs_nothing_of_neuroprune() -> None:
    """It is copied to where an interpreter without neuroprune runs it."""
    sources = list(lava_process.WORKER.glob("*.py"))
    assert sources
    assert not any("from neuroprune" in file.read_text() or "import neuroprune" in file.read_text() for file in sources)


def small() -> Case:
    rng = np.random.default_rng(3)
    program = program_of(dense("out", "input", (1, 2, 2), random_weights(rng, (2, 4), 60)))
    return program, random_frames(rng, 1, (1, 2, 2))


def interpreter(folder: Path, script: str) -> str:
    """A stand-in for another Python."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def python_without(folder: Path, *modules: str) -> str:
    """This Python, which finds none of `modules`."""
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name in {modules!r}: raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n",
        encoding="utf-8",
    )
    return interpreter(folder, f'PYTHONPATH="{folder}" exec "{sys.executable}" "$@"')


def test_for_a_python_without_lava_the_sentence_says_how_to_get_it_and_how_to_do_without(tmp_path: Path) -> None:
    bare = interpreter(tmp_path, f'exec "{sys.executable}" -S -E "$@"')  # no site-packages
    with pytest.raises(
        LavaError,
        match=r"Lava cannot be imported by .*python \(ModuleNotFoundError: No module named .*\): install it with `pip "
        r"install .*`pip install --no-deps --ignore-requires-python lava-nc==0.10.0 lava-dl==0.6.0`, or leave Lava out "
        r"with --lava-samples 0",
    ):
        record_with_lava(*small(), python=bare)


@pytest.mark.parametrize("module", ["lava.magma", "asteval"])
def test_what_lava_needs_is_looked_for_before_it_is_imported(module: str, tmp_path: Path) -> None:
    with (
        pytest.raises(LavaError, match=rf"Lava cannot be imported by .*No module named '{module}'"),
        start_worker(python_without(tmp_path, module)),
    ):
        raise AssertionError("it was not noticed at the start")


def test_a_numpy_too_new_for_lava_is_named_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "numpy-2.3.0.dist-info").mkdir()
    (tmp_path / "numpy-2.3.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 2.3.0\n")
    newer = interpreter(tmp_path, f'PYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"')
    with (
        pytest.raises(LavaError, match=r"\(ImportError: numpy is 2.3.0, with which Lava's convolutions overflow; they"),
        start_worker(newer),
    ):
        raise AssertionError("it was not noticed at the start")


def test_the_install_line_asks_for_what_the_extra_does() -> None:
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        extra = tomllib.load(file)["project"]["optional-dependencies"]["lava"]
    assert all(requirement in lava_process.INSTALL for requirement in extra if "matplotlib" not in requirement)


def test_a_python_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        LavaError, match=r"/python that is to run Lava cannot be started \(No such file.* --lava-python"
    ):
        record_with_lava(*small(), python=str(tmp_path / "python"))


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("exit 0", r"it ended with exit code 0, it printed nothing"),
        ("exec echo", r"it ended with exit code 0, it printed nothing"),
        ('exec echo "$@"', r"it ended with exit code 0, -m lava_worker /.*"),
        ("exec cat", r"it did not answer within 0.5 s"),  # it waits for what is never said
        ("sleep 100", r"it did not answer within 0.5 s"),
        ("exec yes", r"it prints without end, y"),
        ("head -c 300 /dev/zero; exit 3", r"Lava cannot be imported by"),
        ("printf '\\033[31m\\377'; exit 2", r"it ended with exit code 2, \?\[31m"),
    ],
)
def test_what_is_no_python_is_refused_in_a_sentence(
    script: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "did not answer" in how:
        monkeypatch.setattr(lava_process, "START_S", 0.5)
    with pytest.raises(LavaError, match=how) as caught, start_worker(interpreter(tmp_path, script)):
        raise AssertionError("it was not noticed at the start")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    assert "--lava-samples 0" in str(caught.value)


def finds_lava_then(folder: Path, script: str) -> str:
    """A Python that finds Lava and waits for its job, as the worker does, and then goes wrong."""
    return interpreter(folder, f"touch found; head -c 1 >/dev/null; {script}")


def test_a_worker_that_hangs_is_ended_with_all_its_processes(tmp_path: Path) -> None:
    hanging = finds_lava_then(tmp_path, f"trap '' TERM; sleep 100 & echo $! > {tmp_path}/child; wait; sleep 100")
    with pytest.raises(
        LavaError, match=r"Lava did not finish within 0.3 s: give it more with --lava-timeout, or fewer"
    ):
        record_with_lava(*small(), timeout_s=0.3, python=hanging)
    assert not is_alive(int((tmp_path / "child").read_text()))


def test_a_worker_that_gets_no_job_ends_with_the_work_around_it() -> None:
    with pytest.raises(ZeroDivisionError), start_worker() as worker:
        assert worker.process.poll() is None
        raise ZeroDivisionError
    assert not is_alive(worker.process.pid)
    assert not worker.folder.exists()


def test_lava_itself_is_ended_with_its_shared_memory() -> None:
    before = shared_memory()
    with pytest.raises(LavaError, match=r"Lava did not finish within 2.5 s"):
        record_with_lava(*slow(), timeout_s=2.5, models="stock")
    left, waiting = shared_memory() - before, time.monotonic() + 60
    while left:  # perhaps of a test beside this one, which ends
        assert time.monotonic() < waiting, left
        time.sleep(0.05)
        left &= shared_memory()


def test_lava_ends_when_who_started_it_is_killed() -> None:
    script = (
        "from test_lava import slow; from neuroprune.simulation.lava import record_with_lava; record_with_lava(*slow())"
    )
    folders = [str(Path(__file__).parent), *filter(None, sys.path)]
    starter = subprocess.Popen(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    )
    try:
        waiting = time.monotonic() + 120
        while not (running := lava_of(starter.pid)):
            assert starter.poll() is None, "it ended by itself"
            assert time.monotonic() < waiting, "Lava did not start"
            time.sleep(0.05)
        (worker,) = running
    finally:
        starter.kill()
        starter.wait()
    assert not is_alive(worker)


def slow() -> Case:
    """A network that takes Lava minutes."""
    rng = np.random.default_rng(4)
    layer = conv("out", "input", (64, 32, 32), random_weights(rng, (64, 64, 3, 3), 60))
    return program_of(layer, steps=200), random_frames(rng, 2, (64, 32, 32))


def lava_of(starter: int) -> list[int]:
    """Processes that `starter` began and that have shared memory, which Lava does when it runs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended since
            parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
            if parent == str(starter) and "/dev/shm/psm_" in (process / "maps").read_text():
                found.append(int(process.name))
    return found


def shared_memory() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("psm_*")}


def is_alive(process: int) -> bool:
    """Whether it still runs shortly after it was ended; a zombie that waits for its parent does not."""
    for _ in range(250):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True


def test_a_worker_that_fails_is_quoted(tmp_path: Path) -> None:
    failing = finds_lava_then(tmp_path, "echo 'Traceback'; echo 'OSError: none left' >&2; echo later; exit 1")
    with pytest.raises(LavaError, match=r"Lava failed with exit code 1 \(OSError: none left\): check that"):
        record_with_lava(*small(), python=failing)


def test_a_worker_that_dies_silently_has_a_sentence_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(
        LavaError, match=r"Lava failed with exit code 7 \(it printed nothing\): check that lava-nc is 0.10"
    ):
        record_with_lava(*small(), python=finds_lava_then(tmp_path, "exit 7"))


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo done", r"Lava ended without a result \(done\): check that lava-nc is 0.10.0"),
        ("echo PK > recorded.npz", r"Lava's result cannot be read \(.*\): check that lava-nc is 0.10.0"),
        ("echo 'ImportError: half of Lava'; exit 3", r"Lava cannot be imported by .* \(ImportError: half of Lava\)"),
    ],
)
def test_a_worker_without_a_whole_result_has_a_sentence(script: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(LavaError, match=sentence):
        record_with_lava(*small(), python=finds_lava_then(tmp_path, script))


def test_a_full_temporary_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = r"temporary files for Lava cannot be written \(No space left on device\): free some space, name another"

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", full)
        with pytest.raises(LavaError, match=sentence):
            record_with_lava(*small())
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        with pytest.raises(LavaError, match=sentence), start_worker():
            raise AssertionError("it was not noticed at the start")
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        with pytest.raises(LavaError, match=r"cannot be written \(No such file or directory\)"), start_worker():
            raise AssertionError("it was not noticed at the start")


def test_an_exception_in_one_of_lavas_processes_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lava's own message is "1 Exception(s) occurred". An int8 of groups that wraps around makes a convolution fail."""
    monkeypatch.setattr(lava_job, "merge_groups", lambda synapse: synapse)
    layer = conv("pool", "input", (260, 1, 1), np.full((260, 1, 1, 1), 2), groups=260)
    with pytest.raises(LavaError, match=r"Lava failed with exit code 1 \(IndexError: index 1 is out of bounds"):
        record_with_lava(program_of(layer), np.ones((1, 260, 1, 1), np.int8), models="stock")


def test_more_layers_than_lava_was_run_with_are_refused() -> None:
    layers = [dense(f"layer{number}", f"layer{number - 1}", (2,), np.full((2, 2), 4)) for number in range(1, 401)]
    program = program_of(dense("layer0", "input", (2,), np.full((2, 2), 4)), *layers)
    with pytest.raises(LavaError) as caught:
        record_with_lava(program, np.zeros((1, 2), np.int8))
    assert str(caught.value) == (
        "the network has 401 layers, and Lava, which starts two processes for each, is run with 400 at most: leave it "
        "out with --lava-samples 0"
    )


def test_frames_of_another_kind_are_refused() -> None:
    with pytest.raises(InputError, match=r"but this program reads \[samples, "):
        record_with_lava(small()[0], np.zeros((1, 1, 2, 3), np.int8))
