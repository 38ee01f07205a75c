"""The trainer: an objective that trains a network for each configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, get_args

import torch
from torch import nn

from metaopt.errors import TrainingError
from metaopt.records import Result
from metaopt.seeds import derive
from metaopt.space import Scalar
from metaopt.train.cohorts import EngineChoice, form_teams
from metaopt.train.data import Data, Preparation
from metaopt.train.engine import Member
from metaopt.train.fitted import Fitted
from metaopt.train.metrics import (
    LossFunction,
    Metric,
    MetricFunction,
    find_loss,
    find_metric,
    is_classification,
)
from metaopt.train.models import Build, find_build
from metaopt.train.noise import Noise
from metaopt.train.outcome import failure, result_of, scores
from metaopt.train.progress import Task
from metaopt.train.recipe import ConfigView, Recipe
from metaopt.train.resources import (
    WORTH_THREADS,
    Meter,
    find_device,
    is_out_of_memory,
    limit_threads,
    work,
)
from metaopt.train.stopping import Direction, EarlyStopping
from metaopt.train.team import Team, train_in_step
from metaopt.trial import Trial

STOPPING = EarlyStopping()


class Trainer:
    """Trains ``build(config)`` and returns its validation metric: an objective for a study.

        trainer = Trainer("mlp", X, y, metric="accuracy", epochs=20)
        study = metaopt.Study(space, direction=trainer.direction)
        study.optimize(trainer, n_trials=50)
        fitted = trainer.refit(study.best_params, study.best.seed, study.data_seed)

    With ``study.optimize(trainer, n_trials=64, batch_size=16)`` whole batches train as one
    program, several times faster and with the same results; see `many`.

    The search sees the validation part only. ``Result.metrics["test"]`` is the metric on the
    hidden test part at the weights that `value` belongs to. Initial weights and dropout masks
    depend on the trial's seed, the split and the order of the samples on its `data_seed`; with
    both given, the result is the same bit for bit on one machine's CPU.

    A run whose loss or metric stops being finite ends there. If its best earlier epoch is kept
    (`stopping` with `restore_best`), that epoch stands, with ``data["stopped"] == "diverged"``;
    otherwise, and if there is none, the trial has failed with the kind "not_finite".

    Args:
        build: a function of the configuration that returns an `nn.Module`; or "mlp" or "cnn" for
            the networks of `metaopt.train.models`, fitted to the shapes of the data.
        X: inputs (n, ...), an array or tensor; or a map-style Dataset of (x, y), read once.
            Numbers become `dtype`; a tensor of int64 (tokens) stays.
        y: targets (n, ...): labels of any type for "cross_entropy", numbers otherwise.
        loss: "cross_entropy", "mse" or a function (outputs, targets) -> tensor of shape ().
        metric: "accuracy", "cross_entropy", "mse" or a function (outputs, targets) -> number;
            None is the loss.
        direction: of a metric of your own, "minimize" unless given.
        metrics: further ones, recorded at the final weights as ``name`` and ``test_name``.
        epochs: the most epochs, unless the configuration says.
        validation: a fraction of the data, or (X, y), or a Dataset.
        test: likewise; None or 0 for no hidden test.
        stopping: when to stop early; None trains all epochs and keeps the last weights.
        standardize: scale inputs to mean 0 and deviation 1, by the training part's statistics.
        standardize_target: likewise for y; losses and metrics are then in these units, and
            predictions in y's own.
        stratify: give each part its share of every class; None does so for "cross_entropy".
        defaults: hyper-parameters for configurations that lack them.
        device: "auto" (CUDA if there is one), "cpu", "cuda", "cuda:1", ...; looked up when a
            trial runs.
        threads: within PyTorch's operations on the CPU; "auto" is one for small networks, where
            threads cost more than they save, and otherwise, as with None, PyTorch's own number.
        dtype: of inputs, real targets and the network.
        evaluation_rows: the most samples evaluated at a time.
        engine: "auto" trains perceptrons (chains of dense layers, activations and dropout) as one
            program, bit for bit what they are alone, and other networks one by one; "vectorised"
            has torch.func train those together too, equal up to rounding; "single" none.

    Raises:
        TrainingError: the arguments or the data do not fit together.

    """

    lockstep = True  # `many` has all trials report an epoch before any is asked whether to stop

    def __init__(
        self,
        build: Build | str,
        X: Any,
        y: Any = None,
        *,
        loss: str | LossFunction = "cross_entropy",
        metric: str | MetricFunction | None = None,
        direction: Direction | None = None,
        metrics: Sequence[str | MetricFunction] = (),
        epochs: int = 30,
        validation: Any = 0.2,
        test: Any = 0.2,
        stopping: EarlyStopping | None = STOPPING,
        standardize: bool = False,
        standardize_target: bool = False,
        stratify: bool | None = None,
        defaults: Mapping[str, Scalar] | None = None,
        device: str | torch.device = "auto",
        threads: int | Literal["auto"] | None = "auto",
        dtype: torch.dtype = torch.float32,
        evaluation_rows: int = 8192,
        engine: EngineChoice = "auto",
    ) -> None:
        loss_function = find_loss(loss)
        self.metric: Metric = find_metric(metric, loss, direction)
        self._extra = [find_metric(m, loss) for m in metrics]
        self._defaults = dict(defaults or {})
        Recipe.read(self._defaults, epochs)  # wrong defaults fail here
        if not isinstance(stopping, EarlyStopping | None):
            raise TrainingError(f"stopping must be an EarlyStopping or None, got {stopping!r}")
        if not isinstance(evaluation_rows, int) or evaluation_rows < 1:
            raise TrainingError(f"evaluation_rows must be at least 1, got {evaluation_rows!r}")
        if threads not in ("auto", None) and (not isinstance(threads, int) or threads < 1):
            raise TrainingError(f"threads must be 'auto', None or at least 1, got {threads!r}")
        if engine not in get_args(EngineChoice):
            known = ", ".join(map(repr, get_args(EngineChoice)))
            raise TrainingError(f"engine must be one of {known}, got {engine!r}")
        if not dtype.is_floating_point:
            raise TrainingError(f"dtype must be a real type such as torch.float32, got {dtype}")
        classify = is_classification(loss)
        self._data = Data(
            X,
            y,
            Preparation(
                validation=validation,
                test=test,
                classify=classify,
                stratify=classify if stratify is None else stratify,
                standardize=standardize,
                standardize_target=standardize_target,
                dtype=dtype,
            ),
        )
        self._build = find_build(build, self._data.shape, self._data.outputs)
        n_classes = self._data.outputs if classify else 0
        self._task = Task(loss, loss_function, self.metric, stopping, n_classes, evaluation_rows)
        self._engine: EngineChoice = engine
        self._epochs, self._device, self._dtype, self._threads = epochs, device, dtype, threads

    @property
    def direction(self) -> Direction:
        """Whether the metric is to be minimised or maximised."""
        return self.metric.direction

    def __call__(self, trial: Trial) -> Result:
        """Train the trial's configuration, reporting the metric after every epoch.

        Raises:
            TrainingError: a hyper-parameter is unknown or out of its range.

        """
        member = None
        try:
            member = self._member(trial.params, trial.seed, trial.data_seed, trial)
            self._train_alone(member)
            return self._result(member, trial)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            result = failure(error, trial, member)
        # Outside the handler nothing holds the failed run's tensors any more.
        if member is not None and member.device.type == "cuda":
            torch.cuda.empty_cache()
        return result

    def many(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Result]]:
        """Train many configurations together; yield each trial's number and result when it ends.

        Trials whose networks have the same architecture and batch size train as one program, each
        with its own optimizer, learning rate, schedule, penalties, dropout, seed and stopping; the
        result of each is the one that it has alone. All trials finish an epoch, and report it,
        before any is asked whether it should stop. What goes wrong with a trial is its result and
        does not touch the others. Seconds are a trial's share of what ran together.
        """
        of: dict[Member, Trial] = {}
        for trial in trials:
            try:
                member = self._member(trial.params, trial.seed, trial.data_seed, trial)
            except Exception as error:
                yield trial.number, failure(error, trial, None)
            else:
                of[member] = trial
        for member in train_in_step(self._teams(list(of))):
            trial = of.pop(member)
            yield trial.number, self._outcome(member, trial)

    def _outcome(self, member: Member, trial: Trial) -> Result:
        try:
            if member.error is not None:
                return failure(member.error, trial, member)
            return self._result(member, trial)
        except Exception as error:
            return failure(error, trial, member)

    def refit(
        self, config: Mapping[str, Scalar], seed: int = 0, data_seed: int | None = None
    ) -> Fitted:
        """Train as a trial with these seeds did, and return the network.

        Args:
            config: the configuration.
            seed: the trial's seed.
            data_seed: the study's seed; None is `seed`.

        Raises:
            TrainingError: a hyper-parameter is wrong, or the training diverges.

        """
        member = self._member(config, seed, seed if data_seed is None else data_seed)
        self._train_alone(member)
        metrics = self._metrics(member)
        history, data = member.progress.history, member.data
        if history.value is None:
            raise TrainingError(f"training diverged in epoch {history.epochs}; no network is left")
        return Fitted(
            network=member.network,
            config={**self._defaults, **config},
            value=history.value,
            metrics=metrics,
            curve=tuple(history.curve),
            classes=self._data.classes,
            x_scaler=data.x_scaler,
            y_scaler=data.y_scaler,
            build=self._build,
            shape=self._data.shape,
            dtype=self._dtype,
            evaluation_rows=self._task.evaluation_rows,
        )

    def _member(
        self, params: Mapping[str, Scalar], seed: int, data_seed: int, trial: Trial | None = None
    ) -> Member:
        """Build the network of a configuration, ready to be trained."""
        device = find_device(self._device)
        meter = Meter(device)
        config = {**self._defaults, **params}
        recipe = Recipe.read(config, self._epochs)
        data = self._data.prepare(data_seed, device)
        view = ConfigView(config)
        with Noise(derive(seed, "init"), device):
            network = self._build(view)
            if not isinstance(network, nn.Module):
                raise TrainingError(f"build(config) must return an nn.Module, got {network!r}")
            network = network.to(self._dtype)
            if any(isinstance(p, nn.UninitializedParameter) for p in network.parameters()):
                with torch.no_grad():  # lazy layers take their sizes from a first input
                    network.eval()(data.train.X[:2].cpu())
        view.check_all_read()
        network = network.to(device, self._dtype)
        member = Member(network, recipe, data, self._task, seed, data_seed)
        if trial is not None:
            member.watch, member.halt = trial.report, trial.should_stop
        member.cost.add(meter.read())
        return member

    def _teams(self, members: Sequence[Member]) -> list[Team]:
        return form_teams(members, self._thread_limit, self._engine)

    def _train_alone(self, member: Member) -> None:
        for _ in train_in_step(self._teams([member])):
            if member.error is not None:
                raise member.error

    def _thread_limit(self, member: Member) -> AbstractContextManager[object]:
        if self._threads != "auto":
            return limit_threads(self._threads)
        shape = member.data.train.X.shape[1:]
        small = work(member.network, member.batch_size, shape) < WORTH_THREADS
        return limit_threads(1 if small else None)

    def _result(self, member: Member, trial: Trial) -> Result:
        return result_of(member, trial, self._metrics(member))

    def _metrics(self, member: Member) -> dict[str, float]:
        meter = Meter(member.device)
        with self._thread_limit(member):
            found = scores(member, self.metric, self._extra)
        member.cost.add(meter.read())
        return {**found, **member.cost.read()}
