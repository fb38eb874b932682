"""The process that runs Lava: started early, given its job later, and ended with all that it has started.

Lava can hang, starts processes of its own and declares an older Python; so it is never imported here, has a time
limit, and is ended with all its processes when the limit is over. See neuroprune/simulation/lava_worker.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuroprune.errors import LavaError
from neuroprune.folders import LAVA_JOBS, temporary_folder

WORKER = Path(__file__).with_name("lava_worker")
FOUND = "found"
"""The file that says that the worker has found Lava."""
NO_LAVA = 3
"""The worker's exit code when Lava cannot be imported."""

INSTALL = (
    "`pip install 'asteval>=0.9.31,<0.10' 'networkx<=2.8.7' 'numpy>=1.26.4,<2' 'scipy>=1.10.1,<2'` and "
    "`pip install --no-deps --ignore-requires-python lava-nc==0.10.0 lava-dl==0.6.0`"
)
LEAVE_OUT = "leave Lava out with --lava-samples 0"

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": ""}
"""Lava makes a process of each layer, so none needs threads; PYTHONSAFEPATH would hide the worker's own folder."""

START_S = 60.0
"""Time that a worker has to find Lava; it takes tenths of a second."""
START_BYTES = 1 << 20
"""What a worker may print meanwhile; it prints nothing."""
POLL_S = 0.01
GRACE_S = 0.5
"""Time that terminated processes have to release their shared memory."""

EXCEPTION = re.compile(r"[\w.]*(Error|Exception)\b")
READ_BYTES, REASON_LETTERS = 1 << 16, 300
"""How much of the end of a worker's output is read for a reason, and how much of that is quoted."""


@dataclass(frozen=True, eq=False)
class LavaWorker:
    """A worker that has found Lava and waits for the job in `folder`; python: the interpreter that runs it."""

    python: str
    folder: Path
    process: subprocess.Popen[bytes]

    def run(self, timeout_s: float) -> Path:
        """Let it run its job; returns the file of its result. Raises LavaError."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and its exit code will tell more
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise LavaError(
                f"Lava did not finish within {timeout_s:g} s: give it more with --lava-timeout, or fewer samples with "
                "--lava-samples"
            ) from None
        if code == NO_LAVA:
            raise self._not_importable()
        if code != 0:
            raise LavaError(
                f"Lava failed with exit code {code} ({self._reason()}): check that lava-nc is 0.10.0 and numpy below 2 "
                f"for {self.python}"
            )
        result = self.folder / "recorded.npz"
        if not result.is_file():
            raise LavaError(
                f"Lava ended without a result ({self._reason()}): check that lava-nc is 0.10.0 and numpy below 2 for "
                f"{self.python}"
            )
        return result

    def wait_until_found(self) -> None:
        """Raises LavaError when it ends, prints more than it has to say, or does not find Lava within START_S."""
        until = time.monotonic() + START_S
        while True:
            code = self.process.poll()
            if (self.folder / FOUND).is_file():
                return
            if code == NO_LAVA:
                raise self._not_importable()
            if code is not None:
                raise self._not_started(f"it ended with exit code {code}, {self._reason()}")
            if self._output.stat().st_size > START_BYTES:
                raise self._not_started(f"it prints without end, {self._reason()}")
            if time.monotonic() > until:
                raise self._not_started(f"it did not answer within {START_S:g} s")
            time.sleep(POLL_S)

    def _not_importable(self) -> LavaError:
        return LavaError(
            f"Lava cannot be imported by {self.python} ({self._reason()}): install it with {INSTALL}, or {LEAVE_OUT}"
        )

    def _not_started(self, how: str) -> LavaError:
        return LavaError(
            f"the interpreter {self.python} does not start Lava ({how}): name a Python that has lava-nc 0.10.0 with "
            f"--lava-python, or {LEAVE_OUT}"
        )

    @property
    def _output(self) -> Path:
        return self.folder / "output.txt"

    def _reason(self) -> str:
        """The last exception in its output that says something, or else the last line."""
        with self._output.open("rb") as file:
            file.seek(max(0, self._output.stat().st_size - READ_BYTES))
            output = file.read().decode("utf-8", errors="replace")
        lines = [line.strip() for line in output.split("\n") if line.strip()]
        exceptions = [line for line in lines if EXCEPTION.match(line) and "See output above" not in line]
        reason = (exceptions or lines or ["it printed nothing"])[-1]
        return "".join(letter if letter.isprintable() else "?" for letter in reason[:REASON_LETTERS])


@contextlib.contextmanager
def start_worker(python: str | None = None) -> Iterator[LavaWorker]:
    """A worker that imports Lava, which takes seconds, while the enclosed work goes on; it is ended afterwards.

    python: the interpreter, this one if None. Raises LavaError at once where it is no Python or does not find Lava.
    """
    with contextlib.ExitStack() as stack:
        with temporary_files():
            folder = stack.enter_context(temporary_folder(LAVA_JOBS))
            (folder / WORKER.name).mkdir()
            for file in WORKER.glob("*.py"):
                shutil.copyfile(file, folder / WORKER.name / file.name)
            output = stack.enter_context((folder / "output.txt").open("wb"))
        process = _start(python or sys.executable, folder, output.fileno())
        stack.callback(_end, process)
        worker = LavaWorker(python or sys.executable, folder, process)
        worker.wait_until_found()
        yield worker


@contextlib.contextmanager
def temporary_files() -> Iterator[None]:
    """Work that writes temporary files. Raises LavaError where the disk is full or refuses."""
    try:
        yield
    except OSError as error:
        raise LavaError(
            f"temporary files for Lava cannot be written ({error.strerror or error}): free some space, name another "
            f"folder in the variable TMPDIR, or {LEAVE_OUT}"
        ) from error


def _start(python: str, folder: Path, output: int) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that all its processes can be ended together.

    If this process is killed, its pipe to the worker closes, and the worker ends.
    """
    try:
        return subprocess.Popen(
            [python, "-m", WORKER.name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=os.environ | ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as error:
        raise LavaError(
            f"the interpreter {python} that is to run Lava cannot be started ({error.strerror}): name one that has "
            f"lava-nc 0.10.0 with --lava-python, or {LEAVE_OUT}"
        ) from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """End all that the worker left running; first by SIGTERM, since killed processes leave shared memory."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if process.poll() != 0:
            os.killpg(process.pid, signal.SIGTERM)
            until = time.monotonic() + GRACE_S
            while time.monotonic() < until:
                process.poll()
                os.killpg(process.pid, 0)  # fails once all of them have ended
                time.sleep(POLL_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdin is not None
    process.stdin.close()
