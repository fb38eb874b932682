"""The worker's command: see the docstring of the package."""

import json
import logging
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

import numpy as np

from .network import Network
from .run import run_in_one_process, run_in_runtime


def run(folder: Path) -> None:
    job = json.loads((folder / "program.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as file:
        networks = [
            Network(program, file, str(number), job["models"]) for number, program in enumerate(job["programs"])
        ]
    run_networks = run_in_runtime if job["runtime"] else run_in_one_process
    run_networks(networks, job["every_step"], folder / "recorded.npz")


def end_with_parent() -> None:
    """Wait until nobody holds the other end of the standard input, which nobody writes to any more; then end all."""
    os.read(0, 1)
    os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    if not os.read(0, 1):
        sys.exit()  # there will be no job
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        run(Path(sys.argv[1]))
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # after an exception in one of Lava's processes neither stop() nor a normal exit comes to an end
