"""A Ray cluster that does jobs; all of its machines must see the folders of the experiment and of the data."""

from dataclasses import dataclass, field
from typing import Any

from neuroprune.errors import InputError
from neuroprune.experiment.jobs import Job
from neuroprune.experiment.pool import MOST_DEATHS, Ended, Event, Work, run_job
from neuroprune.progress import silent

LOCAL = "local"
"""The address of a cluster that is started on this machine, and ended with the experiment."""


@dataclass(eq=False)
class RayPool:
    """As many jobs at once as the cluster has CPUs, one CPU each, and where it has GPUs as many as those, one GPU each.

    address: of the cluster, "auto" for the one that this machine belongs to, or "local". A job whose process or machine
    dies is begun again elsewhere. Raises InputError where Ray is not installed or the cluster cannot be reached.
    """

    work: Work
    address: str = "auto"
    _under_way: dict[Any, Job] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise InputError(
                f"the Ray cluster {self.address} needs the package ray, which is not installed: install "
                "neuroprune[ray], or leave --ray out"
            ) from error
        self._ray = ray
        try:
            ray.init(self.address, log_to_driver=False, logging_level="error", include_dashboard=False)
        except Exception as error:
            raise InputError(
                f"the Ray cluster {self.address} cannot be reached ({type(error).__name__}): start it with `ray start "
                f"--head`, or give --ray {LOCAL} for one on this machine"
            ) from error
        found = ray.cluster_resources()
        gpus = int(found.get("GPU", 0))
        self.slots = gpus or max(1, int(found.get("CPU", 1)))
        self._do = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0, max_retries=MOST_DEATHS - 1)(_do)

    def start(self, job: Job) -> None:
        """Give a job to the cluster."""
        self._under_way[self._do.remote(self.work, job)] = job

    def events(self) -> list[Event]:
        """The jobs that have ended; waits for one."""
        done, _ = self._ray.wait(list(self._under_way), num_returns=1)
        return [self._take(each) for each in done]

    def close(self) -> None:
        """Leave the cluster, which ends what it is doing for us."""
        self._ray.shutdown()

    def _take(self, reference: Any) -> Ended:
        job = self._under_way.pop(reference)
        try:
            ended: Ended = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return Ended(job, f"{MOST_DEATHS} processes of the cluster that did it ended ({type(error).__name__})")
        return ended


def _do(work: Work, job: Job) -> Ended:
    return run_job(work, job, silent)
