"""Build the networks of a configuration, one per fold, and train them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from metaopt.core.errors import TrainingError
from metaopt.core.seeds import derive
from metaopt.space import Scalar
from metaopt.train.data.preparation import Prepared
from metaopt.train.data.streams import kept_open
from metaopt.train.engines.base import Member
from metaopt.train.runtime.checkpoint import Keeper
from metaopt.train.runtime.resources import WORTH_THREADS, Meter, limit_threads, work
from metaopt.train.runtime.rng import Noise
from metaopt.train.scheduling.epochs import at_once, train_in_step
from metaopt.train.scheduling.fingerprint import fingerprint
from metaopt.train.scheduling.grouping import form_teams
from metaopt.train.scheduling.options import Options
from metaopt.train.scheduling.run import TrainingRun
from metaopt.train.scheduling.team import Team
from metaopt.train.settings.history import Task
from metaopt.train.settings.hyperparameters import ConfigView, Recipe
from metaopt.train.settings.networks import Build

logger = logging.getLogger("metaopt.train")


@dataclass(frozen=True)
class Factory:
    """Builds training runs and trains them.

    Attributes:
        build: builds the network of a configuration; see `Trainer`.
        task: the loss, the metric and the rules for all runs.
        defaults: hyper-parameters for names that a configuration lacks.
        epochs: number of epochs, unless the configuration has its own.
        samples: number of samples that the trainer was given, for training and validation.
        options: device, precision and so on; see `Trainer`.
        checkpoints: folder of the checkpoints; None writes none.
        checkpoint_every: epochs between two checkpoints.

    """

    build: Build
    task: Task
    defaults: Mapping[str, Scalar]
    epochs: int
    samples: int
    options: Options
    checkpoints: Path | None = None
    checkpoint_every: int = 1

    def run(
        self,
        params: Mapping[str, Scalar],
        seed: int,
        data_seed: int,
        splits: Sequence[Prepared],
        watch: Callable[[float, int], None] | None = None,
        halt: Callable[[], bool] | None = None,
    ) -> TrainingRun:
        """Return the run of a configuration: one member per split, with equal initial weights.

        Args:
            params: the configuration, without the defaults.
            seed: for the initial weights and dropout.
            data_seed: for the order of the samples.
            splits: one per fold.
            watch: called with the metric and the epoch; see `TrainingRun`.
            halt: returns whether to stop; see `TrainingRun`.

        Raises:
            TrainingError: a hyper-parameter is invalid or unknown, `build` returns no network,
                or its networks differ in shape between the folds.

        """
        members = [self.member(params, seed, data_seed, split) for split in splits]
        shapes = {tuple((k, p.shape) for k, p in m.network.named_parameters()) for m in members}
        if len(shapes) > 1:
            raise TrainingError(
                "build(config) returned networks of different shapes for one configuration;"
                " it must depend on nothing but the configuration"
            )
        return TrainingRun(members, watch, halt)

    def member(
        self,
        params: Mapping[str, Scalar],
        seed: int,
        data_seed: int,
        data: Prepared,
        epochs: int | None = None,
        task: Task | None = None,
    ) -> Member:
        """Build the network of a configuration, ready to be trained on one split.

        Args:
            params: the configuration, without the defaults.
            seed: for the initial weights and dropout.
            data_seed: for the order of the samples.
            data: the split.
            epochs: number of epochs to train; None for the number in the recipe.
            task: replaces the task of this factory.

        Raises:
            TrainingError: a hyper-parameter is invalid or unknown, or `build` returns no network.

        """
        device = data.train.X.device
        meter = Meter(device)
        config = {**self.defaults, **params}
        recipe = Recipe.read(config, self.epochs)
        given = "batch_size" in config and recipe.optimizer != "gd"
        if given and recipe.batch_size > self.samples:
            raise TrainingError(
                f"parameter 'batch_size' must be at most the {self.samples} samples of the data,"
                f" got {recipe.batch_size}; lower it, or use optimizer='gd' for full batches"
            )
        view = ConfigView(config)
        with Noise(derive(seed, "init"), device):
            network = self.build(view)
            if not isinstance(network, nn.Module):
                raise TrainingError(f"build(config) must return an nn.Module, got {network!r}")
            network = network.to(self.options.dtype)
            if any(isinstance(p, nn.UninitializedParameter) for p in network.parameters()):
                with torch.no_grad():  # lazy layers get their sizes from a first input
                    network.eval()(data.train.X[:2].cpu().clone())
        view.check_all_read()
        network = network.to(device, self.options.dtype)
        member = Member(network, recipe, data, task or self.task, seed, data_seed, epochs)
        if self.checkpoints is not None:
            self._resume(member, self.checkpoints, config)
        member.cost.add(meter.read())
        return member

    def _resume(self, member: Member, folder: Path, config: Mapping[str, Scalar]) -> None:
        """Let a member write checkpoints, and resume from the one on disk, if any."""
        options = self.options
        name = fingerprint(member, config, options.dtype, options.threads, options.engine)
        member.keeper = Keeper(folder / f"{name}.npz", self.checkpoint_every)
        found = member.keeper.read()
        if found is not None:
            logger.info("training resumes after epoch %d, from %s", found.epoch, folder)
            member.resume(found)

    def train(self, runs: Sequence[TrainingRun]) -> Iterator[TrainingRun]:
        """Train runs together; yield each as soon as it has ended."""
        for ended in self.stream(at_once(runs)):
            yield from ended

    def stream(self, arrivals: Iterable[Sequence[TrainingRun]]) -> Iterator[list[TrainingRun]]:
        """Train runs that may start at any epoch; yield after each epoch those that have ended.

        `arrivals` yields, before each epoch, the runs that start with it.
        """

        def place(members: Sequence[Member]) -> list[Team]:
            return form_teams(members, self.thread_limit, self.options.engine)

        with ExitStack() as held:
            yield from train_in_step(_holding(arrivals, held), place)

    def train_one(self, run: TrainingRun) -> TrainingRun:
        """Train a single run.

        Raises:
            Exception: the error of the first member that failed.

        """
        for _ in self.train([run]):
            for member in run.members:
                if member.error is not None:
                    self.forget(run)
                    raise member.error
        self.forget(run)
        return run

    def forget(self, run: TrainingRun) -> None:
        """Delete the checkpoints of a run that has ended."""
        for member in run.members:
            if member.keeper is not None:
                member.keeper.remove()

    def thread_limit(self, member: Member) -> AbstractContextManager[object]:
        """Return the context that sets the number of threads for a member and its team."""
        if self.options.threads != "auto":
            return limit_threads(self.options.threads)
        shape = member.data.train.X.shape[1:]
        small = work(member.network, member.batch_size, shape) < WORTH_THREADS
        return limit_threads(1 if small else None)


def _holding(
    arrivals: Iterable[Sequence[TrainingRun]], held: ExitStack
) -> Iterator[Sequence[TrainingRun]]:
    """Keep the processes that read the runs' samples alive until `held` is closed."""
    for runs in arrivals:
        held.enter_context(kept_open(m.data.train.X for run in runs for m in run.members))
        yield runs
