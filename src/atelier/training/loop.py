"""The one training loop: every family, the judges included, learns here.

An objective declares phases; a step runs each phase that is due: fresh data, loss, backward, one
optimizer step of the networks that the phase trains. Progress is counted in images.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from atelier import config
from atelier.data.batches import Drawn
from atelier.display import progress, say
from atelier.errors import AtelierError, Interrupted
from atelier.objectives.phase import (
    EXAMPLES,
    PART,
    Alone,
    Batch,
    Phase,
    Prepare,
    Processes,
    train_only,
    unchanged,
)
from atelier.training import checkpoint, ema, health, setup
from atelier.training.history import History, Window
from atelier.training.randomness import StepRandomness
from atelier.training.stopping import EarlyStop

PREPARING = 1000
"""More than any objective has phases, or parts of `EXAMPLES` there are: what prepares a phase, and
each part of the data for it, draws by itself."""
Preview = Callable[[setup.Learner], health.Preview | None]
"""What a training shows of itself, if that can be seen."""


@dataclass
class Clock:
    """What the loop itself must remember; weights and optimizers are the learner's."""

    batch_size: int
    step: int = 0
    stopped_early: bool = False

    @property
    def images(self) -> int:
        return self.step * self.batch_size

    def crossed(self, every: int) -> bool:
        """Whether the last step passed a multiple of `every` images."""
        return self.images // every > (self.images - self.batch_size) // every


@dataclass(frozen=True)
class Summary:
    """How far a training came."""

    images: int
    steps: int
    stopped_early: bool
    best_score: float | None
    warnings: list[str]


def train(
    name: str,
    work: config.Experiment | config.Judge,
    learner: setup.Learner,
    folder: Path,
    *,
    preview: Preview | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    save_every_seconds: float = 60.0,
) -> Summary:
    """Trains to the planned images, or on from the checkpoint in `folder`.

    Leaves history.csv, samples/ and snapshots/ in `folder`/output, and the last checkpoint.
    `preview` says what the samples show; without one there are none.

    Raises:
        Interrupted: `should_stop` said so; a checkpoint is saved and the same call goes on.
        AtelierError: a loss was not finite, or what `stop_when` names was seen.
    """
    run = _Run(name, work, learner, folder, preview)
    run.resume()
    saved_at = time.monotonic()
    with progress(name, run.planned, run.clock.images, shown=run.leads) as advance:
        while not run.finished:
            run.take_step()
            advance(run.clock.images)
            if run.due(run.settings.sample_every_images):
                run.sample()
            if run.due(run.settings.log_every_images):
                advance(run.clock.images, run.log())
            if run.clock.images in run.snapshot_marks:
                run.snapshot()
            late = time.monotonic() - saved_at > save_every_seconds
            asked, late = run.agreed(should_stop(), late)
            if asked or late:
                run.save()
                saved_at = time.monotonic()
            if asked:
                raise Interrupted(f"{name}: stopped at {run.clock.images:,} images; saved.")
    return run.finish()


def snapshot_marks(settings: config.Training) -> set[int]:
    """Image counts of the snapshots: evenly over the second half, the end included."""
    if settings.early_stopping:
        return set()
    count, batch = settings.snapshots, settings.batch_size
    steps = settings.images // batch
    return {(steps - steps * i // (2 * count)) * batch for i in range(count)}


class _Run:
    """One training under way."""

    def __init__(
        self,
        name: str,
        work: config.Experiment | config.Judge,
        learner: setup.Learner,
        folder: Path,
        preview: Preview | None,
    ) -> None:
        self.name, self.preview = name, preview
        self.settings, self.learner = work.training, learner
        self.clock = Clock(self.settings.batch_size)
        steps = self.settings.images // self.settings.batch_size
        self.planned = steps * self.settings.batch_size
        self.snapshot_marks = snapshot_marks(self.settings)
        self.state_file = folder / "checkpoint.pt"
        self.history = History(folder / "output")
        device = learner.fabric.device
        self.window = Window(device)
        self.watch = health.Watch(self.planned)
        self.not_finite = {
            phase.name: torch.full((), -1, dtype=torch.int64, device=device)
            for phase in learner.phases
        }
        self.augment = setup.augmentation(self.settings) or unchanged
        stopping = self.settings.early_stopping
        self.early_stop = EarlyStop(stopping.patience_steps) if stopping else None
        self.best: dict[str, Tensor] = {}

    @property
    def leads(self) -> bool:
        """Whether this process writes; the others only compute."""
        return self.learner.fabric.global_rank == 0

    @property
    def progress(self) -> float:
        """Share of the planned images that was seen."""
        return self.clock.images / self.planned

    @property
    def finished(self) -> bool:
        return self.clock.images >= self.planned or self.clock.stopped_early

    def agreed(self, *wishes: bool) -> list[bool]:
        """What any process wishes: all then do it, after the same step."""
        if self.learner.processes.count == 1:
            return list(wishes)
        flags = torch.tensor(wishes, dtype=torch.float32, device=self.learner.fabric.device)
        return [bool(wished) for wished in self.learner.processes.mean(flags) > 0]

    def due(self, every: int) -> bool:
        return self.clock.crossed(every) or self.finished

    def take_step(self) -> None:
        """Runs every phase that is due, then moves the averages."""
        progress = self.progress
        self.learner.set_learning_rates(progress)
        for index, phase in enumerate(self.learner.phases):
            if phase.is_due(self.clock.step, progress):
                if phase.prepare is not None and self._enters(phase):
                    self._prepare(index, phase.prepare)
                self._run_phase(index, phase)
        self.clock.step += 1
        for name, average in self.learner.averages.items():
            ema.update(
                average,
                self.learner.nets[name],
                self.settings.ema_share,
                self.learner.images_before + self.clock.images,
                self.settings.batch_size,
            )
        if self.early_stop and self.settings.early_stopping:
            self._watch(self.early_stop, self.settings.early_stopping)

    def _enters(self, phase: Phase) -> bool:
        """Whether its turn before, if there was one, was too early for it."""
        step = self.clock.step - phase.every
        return step < 0 or step * self.settings.batch_size / self.planned < phase.begins

    def _prepare(self, index: int, prepare: Prepare) -> None:
        """The same in each process, so that networks stay alike."""
        learner = self.learner
        draws = (PREPARING * (index + 1) + part for part in range(1 + EXAMPLES // PART))
        rng, *parts = (
            StepRandomness(self.settings.seed, self.clock.step, draw, device=learner.fabric.device)
            for draw in draws
        )
        batches = (self._batch(learner.batches.take(part, PART), Alone()) for part in parts)
        with torch.no_grad(), learner.fabric.autocast():
            prepare(learner.nets, batches, rng)

    def _batch(self, drawn: Drawn, processes: Processes) -> Batch:
        return Batch(
            drawn["real"],
            drawn.get("labels"),
            drawn.get("other"),
            self.progress,
            self.augment,
            processes,
        )

    def _run_phase(self, index: int, phase: Phase) -> None:
        learner, fabric = self.learner, self.learner.fabric
        rng = learner.randomness(self.clock.step, index)
        # Layers that draw by themselves (dropout) read the global generator.
        torch.manual_seed(rng.generator.initial_seed())
        drawn = learner.batches.take(rng, self.settings.batch_size // fabric.world_size)
        batch = self._batch(drawn, learner.processes)
        train_only(learner.nets, phase)
        with fabric.autocast():
            loss, metrics = learner.objective.loss(phase, learner.nets, batch, rng)
        for name in phase.trains:
            learner.optimizers[name].zero_grad(set_to_none=True)
        fabric.backward(loss)
        for name in phase.trains:
            _average_gradients(learner.nets[name], learner.processes)
            learner.optimizers[name].step()
        self.window.add(metrics)
        earlier = self.not_finite[phase.name]
        bad = ~torch.isfinite(loss.detach()) & (earlier < 0)
        self.not_finite[phase.name] = torch.where(bad, self.clock.step, earlier)

    def _watch(self, early_stop: EarlyStop, settings: config.EarlyStopping) -> None:
        draws = self.learner.draw(settings.draws, self.clock.step)
        score = self.learner.batches.score(settings.watch, draws)
        self.window.add({"score": torch.tensor(score)})
        self.clock.stopped_early = early_stop.stop(score)
        if early_stop.improved and settings.keep == "best":
            self.best = {k: v.clone() for k, v in self.learner.averages.state_dict().items()}

    def log(self) -> dict[str, float]:
        checkpoint.check_finite(self.not_finite)
        means = self.window.means(self.learner.processes)
        means |= health.gradient_norms(self.learner.optimizers)
        if self.leads:
            self.history.log(self.clock.step, self.clock.images, means)
            for warning in self.watch.see(self.clock.images, means):
                say(f"{self.name}: {warning}")
        self._stop_if_ill()
        return means

    def _stop_if_ill(self) -> None:
        """All processes, or none."""
        if not self.settings.stop_when:
            return
        seen = self.watch.signs & set(self.settings.stop_when)
        if self.learner.fabric.broadcast(bool(seen)):
            raise AtelierError(
                f"{self.name}: {'; '.join(self.watch.warnings)} Stopped, as training.stop_when "
                "says."
            )

    def sample(self) -> None:
        if not self.leads or self.preview is None:
            return
        with torch.inference_mode(), self.learner.fabric.autocast():
            preview = self.preview(self.learner)
            if preview is None:
                return
        self.window.add(health.figures(preview.made), shared=False)
        self.history.sample(self.clock.images, preview.pictures)

    def snapshot(self) -> None:
        if self.leads:
            self.history.snapshot(self.clock.images, self.learner.averages)

    def save(self) -> None:
        checkpoint.check_finite(self.not_finite)
        self.window.share(self.learner.processes)
        if not self.leads:
            return
        learner, stop = self.learner, self.early_stop
        state = checkpoint.collect(learner.nets, learner.averages, learner.optimizers) | {
            "step": self.clock.step,
            "images_before": learner.images_before,
            "window": self.window.state(),
            "early_stop": [stop.counter, stop.best_score] if stop else None,
            "best": self.best,
            "memory": learner.objective.memory.state_dict() if learner.objective.memory else {},
        }
        checkpoint.save(self.state_file, state)

    def resume(self) -> None:
        state = checkpoint.load(self.state_file, self.learner.fabric.device)
        if state:
            learner = self.learner
            checkpoint.restore(state, learner.nets, learner.averages, learner.optimizers)
            self.clock.step = state["step"]
            learner.images_before = state["images_before"]
            self.window.restore(state["window"])
            self.best = state["best"]
            if learner.objective.memory is not None:
                learner.objective.memory.load_state_dict(state["memory"])
            if self.early_stop:
                self.early_stop.counter, self.early_stop.best_score = state["early_stop"]
        if self.leads:
            self.history.rewind(self.clock.images)
            for images, row in self.history.rows():
                self.watch.see(images, row)
        self._stop_if_ill()

    def finish(self) -> Summary:
        """Early stopping publishes one snapshot, under the images where it ended."""
        if self.early_stop:
            if self.best:
                self.learner.averages.load_state_dict(self.best)
            self.snapshot()
        self.save()
        best = self.early_stop.best_score if self.early_stop else None
        return Summary(
            self.clock.images, self.clock.step, self.clock.stopped_early, best, self.watch.warnings
        )


def _average_gradients(network: nn.Module, processes: Processes) -> None:
    """Means over processes by hand: DDP's hooks and a penalty's double backward don't mix."""
    if processes.count > 1:
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = processes.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
