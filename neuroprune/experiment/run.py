"""Running an experiment: what is left of its jobs, in the order in which they can be done."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from neuroprune.errors import InputError, OutputError
from neuroprune.experiment.jobs import DenseJob, Job, TrialJob
from neuroprune.experiment.plan import Plan
from neuroprune.experiment.pool import Advanced, Ended, Pool, ProcessPool, Work
from neuroprune.experiment.record import FILE, TrialRecord, load_trial, results_csv
from neuroprune.experiment.trials import dense_of, trials_of
from neuroprune.experiment.work import Laboratory, check_description, is_done, work
from neuroprune.files import write_text
from neuroprune.folders import locked
from neuroprune.progress import Progress, silent
from neuroprune.records import save_record

RESULTS = "results.csv"
DETAILS = "error.txt"

Tell = Callable[[TrialRecord, int, int], None]
"""Told of each trial that has ended, of its number among those that have, and of how many there are."""


def run_experiment(
    plan: Plan,
    folder: Path,
    processes: int = 1,
    *,
    data_dir: Path | None = None,
    device: str | None = None,
    models: Sequence[str] = (),
    pool: Callable[[Work], Pool] | None = None,
    progress: Progress = silent,
    tell: Tell | None = None,
) -> tuple[TrialRecord, ...]:
    """Run the trials of `plan` that are not finished in `folder`, and return the records of all, in the plan's order.

    folder: made if need be; each job has a folder of its own there. What was interrupted, by whatever means, is gone on
    with, to the same numbers; trials that failed are tried again. results.csv is there from the first trial on.
    processes: how many trials at once on this machine, each in a process of its own; pool: another place for them, such
    as `neuroprune.experiment.ray_pool.RayPool`. data_dir, device: as for `neuroprune train`. models: the classes,
    file.py:Class, that the plan may name; their code is executed.
    A trial that fails is recorded with its sentence and stops no other. Raises InputError for a plan that cannot be
    run, data that is not there, or a folder that holds another experiment or is in use; OutputError when it cannot be
    written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from neuroprune import load_plan, run_experiment
    >>> plan = '''
    ... title: One variant, one seed
    ... data: {name: digits, subset: {train_per_class: 8, test_per_class: 4}}
    ... networks: [digits-conv]
    ... seeds: [0]
    ... training: {epochs: 1, batch: 16, device: cpu}
    ... comparisons:
    ...   - {name: channels, targets: [{flops: 0.5}], fine_tuning: {epochs: 0}, baseline: uniform,
    ...      variants: {uniform: {method: uniform}}}
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     characters = Path(folder, "plan.yaml").write_text(plan)
    ...     (record,) = run_experiment(load_plan(f"{folder}/plan.yaml"), Path(folder, "results"))
    >>> record.variant, record.target, f"{record.result.reached['flops']:.1f}"
    ('uniform', 'flops 0.5', '0.5')
    """
    trials = trials_of(plan)
    check_models(trials, models)
    for dense in dense_of(trials):
        if isinstance(dense.model, str):
            plan.located(dense.model)
    laboratory = Laboratory(plan, folder.absolute(), data_dir, device)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} could not be made ({error.strerror}): choose another folder") from error
    with locked(folder):
        jobs: tuple[Job, ...] = (*dense_of(trials), *trials)
        for job in jobs:
            check_description(job, plan, folder)
        laboratory.data(trials[0])  # so that missing files are an error before any work
        running = _Running(laboratory, jobs, progress, tell)
        running.run((pool or partial(ProcessPool, slots=processes))(partial(work, laboratory)))
        return running.records()


def check_models(trials: Iterable[TrialJob], models: Sequence[str]) -> None:
    """Raise InputError where a trial would execute the code of a class that is not among `models`."""
    for trial in trials:
        model = trial.dense.model
        if isinstance(model, str) and model not in models:
            raise InputError(
                f"this plan is of the class {model}, whose code is not run unless you name it: add --model {model}"
            )


@dataclass(eq=False)
class _Running:
    """How far an experiment has come."""

    laboratory: Laboratory
    jobs: tuple[Job, ...]
    progress: Progress
    tell: Tell | None
    done: dict[Path, Job] = field(default_factory=dict)
    failed: dict[Path, TrialRecord] = field(default_factory=dict)
    under_way: dict[Path, float] = field(default_factory=dict)

    def run(self, pool: Pool) -> None:
        """Do all jobs that are left."""
        folder = self.laboratory.folder
        self.done = {job.place: job for job in self.jobs if is_done(job, folder)}
        waiting = [job for job in self.jobs if job.place not in self.done]
        waiting = _needed(waiting)
        self._write()
        try:
            while waiting or self.under_way:
                while len(self.under_way) < pool.slots and (job := self._next(waiting)) is not None:
                    waiting.remove(job)
                    self.under_way[job.place] = 0.0
                    pool.start(job)
                for event in pool.events():
                    if isinstance(event, Advanced):
                        self.under_way[event.job.place] = event.share
                    else:
                        self._end(event, waiting)
                self._show()
        finally:
            pool.close()

    def records(self) -> tuple[TrialRecord, ...]:
        """Of all trials that have ended, in the plan's order."""
        found = []
        for job in self.jobs:
            if isinstance(job, TrialJob):
                if job.place in self.done:
                    found.append(load_trial(self.laboratory.folder / job.place / FILE))
                elif job.place in self.failed:
                    found.append(self.failed[job.place])
        return tuple(found)

    def _next(self, waiting: list[Job]) -> Job | None:
        """A job that nothing is to be waited for: the trials of a training that is done come before other trainings."""
        ready = [job for job in waiting if all(place in self.done for place in job.needs)]
        return next((job for job in ready if isinstance(job, TrialJob)), None) or next(iter(ready), None)

    def _end(self, event: Ended, waiting: list[Job]) -> None:
        job = event.job
        del self.under_way[job.place]
        if event.details:
            write_text(self.laboratory.folder / job.place / DETAILS, event.details)
        if not event.error:
            self.done[job.place] = job
            if isinstance(job, TrialJob):
                self._say(load_trial(self.laboratory.folder / job.place / FILE))
        else:
            self._fail(job, event.error, waiting)
        self._write()

    def _fail(self, job: Job, error: str, waiting: list[Job]) -> None:
        """And all that needs it."""
        if isinstance(job, TrialJob):
            record = job.record(error=error)
            self.failed[job.place] = record
            save_record(record, self.laboratory.folder / job.place / FILE)
            self._say(record)
        noun = "dense training" if isinstance(job, DenseJob) else "search that it is read in"
        for other in [each for each in waiting if job.place in each.needs]:
            waiting.remove(other)
            self._fail(other, f"the {noun} failed: {error}", waiting)

    def _say(self, record: TrialRecord) -> None:
        if self.tell is not None:
            trials = [job.place for job in self.jobs if isinstance(job, TrialJob)]
            self.tell(record, sum(each in self.done or each in self.failed for each in trials), len(trials))

    def _write(self) -> None:
        write_text(self.laboratory.folder / RESULTS, results_csv(self.records()))

    def _show(self) -> None:
        """Progress in epochs, those under way in part."""
        ended = self.done.keys() | self.failed.keys()
        done = sum(
            job.epochs * (1.0 if job.place in ended else self.under_way.get(job.place, 0.0)) for job in self.jobs
        )
        total = sum(job.epochs for job in self.jobs)
        self.progress("epochs", int(done), total, trials_at_once=len(self.under_way))


def _needed(waiting: list[Job]) -> list[Job]:
    """Without the trainings that no trial is waiting for."""
    needed = {place for job in waiting for place in job.needs}
    return [job for job in waiting if isinstance(job, TrialJob) or job.place in needed]
