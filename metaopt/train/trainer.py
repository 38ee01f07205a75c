"""The trainer: an objective that trains a network for each configuration."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch

from metaopt.core.types import Direction
from metaopt.space import Scalar
from metaopt.train.data.folds import Splitter
from metaopt.train.data.preparation import Data, Preparation
from metaopt.train.results.cross_validation import CrossValidation
from metaopt.train.results.fitted import Fitted
from metaopt.train.results.outcome import failed_result, measured, result_of
from metaopt.train.results.refit import Refitting
from metaopt.train.runtime.checkpoint import read_place
from metaopt.train.scheduling.devices import Loads
from metaopt.train.scheduling.factory import Factory
from metaopt.train.scheduling.grouping import EngineChoice
from metaopt.train.scheduling.options import Options
from metaopt.train.scheduling.run import TrainingRun
from metaopt.train.settings.early_stopping import EarlyStopping
from metaopt.train.settings.history import Precision, Rules, Task
from metaopt.train.settings.hyperparameters import Recipe
from metaopt.train.settings.metrics import (
    LossFunction,
    Metric,
    MetricFunction,
    WeightedCrossEntropy,
    check_names,
    find_loss,
    find_metric,
    is_classification,
    read_class_weights,
)
from metaopt.train.settings.networks import Build, find_build
from metaopt.trials.failures import is_out_of_memory
from metaopt.trials.records import Result
from metaopt.trials.trial import Trial

STOPPING = EarlyStopping()


class Trainer:
    """Trains a network for each configuration and returns its validation metric.

    A `Trainer` is an objective for `Study.optimize`::

        trainer = Trainer("mlp", X, y, metric="accuracy", epochs=20)
        study = metaopt.Study(space, direction=trainer.direction)
        study.optimize(trainer, n_trials=50)
        fitted = trainer.refit(study.best_params, study.best.seed, study.data_seed)

    With ``batch_size=16`` in `optimize`, whole batches train as one program, several times faster
    and with the same results (`many`). With ``slots=16``, a trial that ends is replaced at once
    (`stream`). One page for each group of arguments is in docs/training: data.md, validation.md,
    early-stopping.md, precision-and-devices.md, together.md (batches and engines), checkpoints.md.

    Hyper-parameters that the training reads from the configuration, with their defaults; all
    other names are for ``build(config)``:

    =============================  ==============================================================
    optimizer="adam"               or "adamw", "sgd", "rmsprop", "gd" (full batches)
    lr=1e-3                        learning rate of the first epoch
    schedule="constant"            or "exponential", "exponential_restarts", "cosine"
    decay=0.95, restart_every=10   factor per epoch, and epochs between restarts, of exponential
    batch_size=32                  samples per step
    momentum=0                     of sgd and rmsprop
    beta1=0.9, beta2=0.999         of adam and adamw
    alpha=0.99, eps=1e-8           smoothing of rmsprop; added to the root in adam and rmsprop
    l1=0, l2=0                     penalties on the weights, added to the loss
    weight_decay=0.01              decoupled decay, of adamw only
    epochs                         instead of the argument `epochs`
    =============================  ==============================================================

    Args:
        build: a function of the configuration that returns an `nn.Module`, or "mlp" or "cnn".

        X: inputs, shape (n, ...): an array or tensor, a Dataset of (x, y), or a DataLoader.
        y: targets, shape (n, ...): labels of any type for "cross_entropy", numbers otherwise.
        standardize: scale inputs to mean 0 and deviation 1, by the training part's statistics.
        standardize_target: the same for y; losses and metrics are then in these units.
        groups: a label per sample, shape (n,); no group is divided between parts or folds.
        resident: whether inputs are kept in memory; False reads them in every epoch.

        loss: "cross_entropy", "mse" or a function (outputs, targets) -> tensor of shape ().
        class_weights: of "cross_entropy" in training: numbers by label, or "balanced".
        metric: "accuracy", "cross_entropy", "mse" or a function (outputs, targets) -> number;
            None is the loss.
        direction: of your own metric; "minimize" unless given.
        metrics: further metrics, recorded as ``name`` and ``test_name``.

        validation: a fraction of the data, or data (X, y); or folds: a number of them, or a
            splitter of scikit-learn. With folds, value and reports are means over them.
        test: a fraction or data that the search never sees; None or 0 for none.
        stratify: whether parts keep the shares of the classes; None does so for "cross_entropy".

        epochs: the largest number of epochs.
        stopping: when to stop early, an `EarlyStopping`; None trains all epochs.
        defaults: hyper-parameters for configurations that lack them.

        device: "auto" (CUDA if there is one), "cpu", "cuda", "cuda:1", or a list of devices.
        threads: within PyTorch's operations on the CPU; "auto" is one for small networks.
        dtype: of inputs, real targets and the network.
        precision: "full", or "bf16" or "fp16" for PyTorch's autocast.
        compile: whether networks that train one by one run through `torch.compile`.
        evaluation_rows: the largest number of samples that are evaluated at a time.
        engine: "auto" trains networks of one architecture together where this is faster;
            "traced" also where it is not; "single" trains all one by one.

        checkpoints: a folder for the state of running trainings, from which they resume.
        checkpoint_every: epochs from one checkpoint to the next.

    Attributes:
        metric: the validation metric.

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
        groups: Any = None,
        class_weights: Literal["balanced"] | Mapping[Any, float] | None = None,
        defaults: Mapping[str, Scalar] | None = None,
        device: str | torch.device | Sequence[str | torch.device] = "auto",
        threads: int | Literal["auto"] | None = "auto",
        dtype: torch.dtype = torch.float32,
        precision: Precision = "full",
        compile: bool = False,
        evaluation_rows: int = 8192,
        resident: bool = True,
        engine: EngineChoice = "auto",
        checkpoints: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 1,
    ) -> None:
        loss_function = find_loss(loss)
        self.metric: Metric = find_metric(metric, loss, direction)
        self._extra = [find_metric(m, loss) for m in metrics]
        check_names(self._extra)
        defaults = dict(defaults or {})
        Recipe.read(defaults, epochs)  # wrong defaults fail here
        rules = Rules(
            stopping=stopping, evaluation_rows=evaluation_rows, precision=precision, compile=compile
        )
        options = Options(rules, device, threads, dtype, engine)
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
                groups=groups,
                resident=bool(resident),
            ),
        )
        n_classes = self._data.outputs if classify else 0
        weights = read_class_weights(class_weights, self._data.classes, self._data.counts)
        if weights is not None:
            loss_function = WeightedCrossEntropy(weights)
        self._factory = Factory(
            build=find_build(build, self._data.shape, self._data.outputs),
            task=Task(
                **vars(rules),
                loss=loss,
                loss_function=loss_function,
                metric=self.metric,
                n_classes=n_classes,
            ),
            defaults=defaults,
            epochs=epochs,
            samples=len(self._data),
            options=options,
            checkpoints=read_place(checkpoints, checkpoint_every),
            checkpoint_every=checkpoint_every,
        )
        self._refitting = Refitting(self._data, self._factory, self._extra)

    @property
    def direction(self) -> Direction:
        """Whether the metric is to be minimised or maximised."""
        return self.metric.direction

    def __call__(self, trial: Trial) -> Result:
        """Train the trial's configuration, reporting the metric after every epoch.

        Args:
            trial: holds the configuration and the seeds.

        Returns:
            The validation metric as `value`; in `metrics` the hidden test metric, the cost and
            what the training did. A training that runs out of memory, or whose loss is never
            finite, is a failed result.

        Raises:
            TrainingError: a hyper-parameter is unknown or out of its range.
        """
        run = None
        try:
            run = self._run(trial)
            self._factory.train_one(run)
            return self._result(run, trial)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            result = failed_result(error, trial, run)
        # Outside the handler nothing holds the failed run's tensors any more.
        if run is not None and run.members[0].device.type == "cuda":
            torch.cuda.empty_cache()
        return result

    def many(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Result]]:
        """Train many configurations together; yield each trial's number and result when it ends.

        Trials whose networks have the same architecture and batch size train as one program, each
        with its own optimizer, learning rate, schedule, penalties, dropout, seed and stopping.
        Every trial gives the same result as when it trains alone. All trials finish an epoch, and
        report it, before any is asked whether to stop. A trial that fails does not change the
        others. The seconds of a trial are its share of what ran together.

        Args:
            trials: of one batch.

        Yields:
            The number and the result of each trial.
        """
        of: dict[TrainingRun, Trial] = {}
        runs, failed = self._begin(trials, of, Loads())
        yield from failed
        for run in self._factory.train(runs):
            yield from self._end([run], of)

    def stream(self, arrivals: Iterable[Sequence[Trial]]) -> Iterator[tuple[int, Result]]:
        """Train trials that begin at different epochs; yield each one's number and result.

        This is `many` for ``study.optimize(trainer, slots=16)``: `arrivals` gives the trials that
        begin with each epoch, and they join the programs of the trials that already train. Every
        trial gives the same result as when it trains alone.

        Args:
            arrivals: asked for the next trials when those that ended in an epoch have been taken;
                see `metaopt.trials.objective.StreamObjective`.

        Yields:
            The number and the result of each trial.
        """
        of: dict[TrainingRun, Trial] = {}
        failed: list[tuple[int, Result]] = []

        def begun() -> Iterator[list[TrainingRun]]:
            for starting in arrivals:
                runs, failed[:] = self._begin(starting, of)
                yield runs

        for ended in self._factory.stream(begun()):
            yield from failed
            failed.clear()
            yield from self._end(ended, of)

    def _begin(
        self, trials: Sequence[Trial], of: dict[TrainingRun, Trial], loads: Loads | None = None
    ) -> tuple[list[TrainingRun], list[tuple[int, Result]]]:
        """Make runs, recorded in `of` with their trials; also return results of failed trials."""
        runs, failed = [], []
        for trial in trials:
            try:
                run = self._run(trial, loads)
            except Exception as error:
                failed.append((trial.number, failed_result(error, trial, None)))
            else:
                of[run] = trial
                runs.append(run)
        return runs, failed

    def _end(
        self, runs: Sequence[TrainingRun], of: dict[TrainingRun, Trial]
    ) -> Iterator[tuple[int, Result]]:
        for run in runs:
            trial = of.pop(run)
            yield trial.number, self._outcome(run, trial)
            self._factory.forget(run)  # after the result has been taken in

    def _run(self, trial: Trial, loads: Loads | None = None) -> TrainingRun:
        devices = self._factory.options.devices()
        n = len(devices)
        device = trial.number % n if loads is None else loads.least(n)
        splits = self._data.prepare(trial.data_seed, devices[device])
        seeds = trial.seed, trial.data_seed
        run = self._factory.run(trial.params, *seeds, splits, trial.report, trial.should_stop)
        for member in run.members:
            member.device_index = device
        if loads is not None:
            loads.add(device, run)
        return run

    def _outcome(self, run: TrainingRun, trial: Trial) -> Result:
        error = next((m.error for m in run.members if m.error is not None), None)
        try:
            return self._result(run, trial) if error is None else failed_result(error, trial, run)
        except Exception as raised:
            return failed_result(raised, trial, run)

    def cross_validate(
        self,
        config: Mapping[str, Scalar],
        seed: int = 0,
        data_seed: int | None = None,
        validation: int | Splitter | None = None,
    ) -> CrossValidation:
        """Train one configuration on every fold; return the scores and predictions of each.

        The hidden test part, if there is one, is cut off first, as in every trial. Folds depend
        on the data, `validation` and `data_seed` only, so that results for several configurations
        or trainers are paired.

        Args:
            config: the configuration.
            seed: of the weights and of dropout, the same for all folds.
            data_seed: of folds and sample order; None is `seed`.
            validation: a number of folds or a splitter; None is the trainer's own.

        Returns:
            The scores of the folds and the predictions for samples that were not trained on.

        Raises:
            TrainingError: a hyper-parameter or the splitter is wrong, or a fold diverges.
        """
        data_seed = seed if data_seed is None else data_seed
        return self._refitting.cross_validate(config, seed, data_seed, validation)

    def refit(
        self,
        config: Mapping[str, Scalar],
        seed: int = 0,
        data_seed: int | None = None,
        result: Result | None = None,
    ) -> Fitted:
        """Train a configuration as the trial with these seeds did, and return the network.

        With folds, one network is trained on all data but the hidden test part, for the median
        over folds of their best epochs (the upper one of two), along the schedule of the trial.
        Its `value` is the mean over folds: there is no sample left to validate it on.

        Args:
            config: the configuration.
            seed: the trial's seed.
            data_seed: the study's seed; None is `seed`.
            result: of the trial; it holds the best epochs of the folds, which then need not be
                trained again.

        Returns:
            The trained network, with the scaling of its inputs.

        Raises:
            TrainingError: a hyper-parameter is wrong, or the training diverges.
        """
        data_seed = seed if data_seed is None else data_seed
        return self._refitting.refit(config, seed, data_seed, result)

    def _result(self, run: TrainingRun, trial: Trial) -> Result:
        metrics = measured(run, self._extra, self._factory.thread_limit)
        return result_of(run, trial, metrics)
