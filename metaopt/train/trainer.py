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
from metaopt.train.settings.history import Precision, Task
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
    """Trains ``build(config)`` and returns its validation metric: an objective for a study.

        trainer = Trainer("mlp", X, y, metric="accuracy", epochs=20)
        study = metaopt.Study(space, direction=trainer.direction)
        study.optimize(trainer, n_trials=50)
        fitted = trainer.refit(study.best_params, study.best.seed, study.data_seed)

    With ``study.optimize(trainer, n_trials=64, batch_size=16)`` whole batches train as one
    program, several times faster and with the same results; see `many`. With ``slots=16`` instead,
    trials that end are replaced at once; see `stream`.

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
        X: inputs (n, ...), an array or tensor; or a Dataset of (x, y), read once; or a DataLoader
            over one, whose processes (`num_workers` and what else it says of them, `pin_memory`)
            then read, to the same results: its order and batches give way to the trainer's
            (parameter 'batch_size'), and a sampler or `collate_fn` of its own is refused. Numbers
            become `dtype`; a tensor of int64 (tokens) stays.
        y: targets (n, ...): labels of any type for "cross_entropy", numbers otherwise.
        loss: "cross_entropy", "mse" or a function (outputs, targets) -> tensor of shape ().
        metric: "accuracy", "cross_entropy", "mse" or a function (outputs, targets) -> number;
            None is the loss.
        direction: of a metric of your own, "minimize" unless given.
        metrics: further ones, recorded at the final weights as ``name`` and ``test_name``.
        epochs: the most epochs, unless the configuration says.
        validation: a fraction of the data, or (X, y), or a Dataset or DataLoader. Or folds, which
            train together as members of one population: a number of them from 2 (shuffled by the
            data seed; stratified, and with `groups` kept together), or any splitter of
            scikit-learn's. Then `value`, the reports and all metrics are means over folds, each
            fold stops early by itself, and ``data["folds"]`` has what each reached.
        test: likewise; None or 0 for no hidden test.
        stopping: when to stop early; None trains all epochs and keeps the last weights.
        standardize: scale inputs to mean 0 and deviation 1, by the training part's statistics.
        standardize_target: likewise for y; losses and metrics are then in these units, and
            predictions in y's own.
        stratify: give each part its share of every class; None does so for "cross_entropy".
        groups: a label for each sample (n,); no group is then divided between parts or folds.
        class_weights: of "cross_entropy" in training, not in metrics: numbers by label, or
            "balanced" for the inverse of the classes' shares of y.
        defaults: hyper-parameters for configurations that lack them.
        device: "auto" (CUDA if there is one), "cpu", "cuda", "cuda:1", ...; looked up when a
            trial runs. Or a list such as ["cuda:0", "cuda:1"]: a batch is spread over them by the
            order and the sizes of its networks, each device trains its share in a thread, and
            results are those of one device; a trial alone goes where its number says, refits to
            the first. A loss or metric of your own is then called in these threads, and must not
            draw from PyTorch's default generator; networks that do so take turns.
        threads: within PyTorch's operations on the CPU; "auto" is one for small networks, where
            threads cost more than they save, and otherwise, as with None, PyTorch's own number.
        dtype: of inputs, real targets and the network.
        precision: "bf16" has PyTorch's autocast compute products and convolutions in bfloat16
            (weights, optimizer and losses stay `dtype`): faster on recent GPUs, and less exact.
            Perceptrons then train as other networks do. A refitted network predicts in full
            precision. "fp16" is for GPUs without fast bfloat16: float16, with the loss scaled as
            by `torch.amp.GradScaler`; a step whose gradient overflows is skipped, and networks
            train one by one.
        compile: whether networks that are no perceptrons run through `torch.compile`, one by one
            and each as one program: equal up to rounding, faster where a network is large, after
            tens of seconds for the first of an architecture and batch size in a process. Needs a
            C++ compiler (or Triton, on a GPU). A network that cannot be compiled is a failed trial
            that says why. The test part and refitted networks are evaluated uncompiled.
        evaluation_rows: the most samples evaluated at a time.
        resident: False leaves the inputs of the training part in a Dataset `X`, too large for
            memory: after one pass that checks all and keeps the targets, every step reads its
            batch (by ``__getitems__`` if the Dataset has it), once for all members of a program,
            which get what they would get from memory. A DataLoader's processes read ahead, and
            live as long as the training. What a Dataset draws from the global generators of torch,
            numpy and `random` depends on the batch's rows only; one with a generator of its own
            must see to that itself. An IterableDataset gives its own order, in one pass an epoch
            for each batch size, which must end and have the same length every time; if it has
            ``set_epoch``, it is told 1, 2, ..., and 0 for the first pass; several processes take
            turns as in its DataLoader (`batch_size` samples each; what each gives is the Dataset's
            affair); `validation` and `test` must then be data of their own. They stay on the
            device in any case; folds and `standardize` need all in memory.
        engine: "auto" trains networks of one architecture as one program, each bit for bit what it
            is alone (on a CPU; equal up to rounding on a GPU). Perceptrons (chains of dense layers,
            activations and dropout) are lowered to batched products. Of others a step is written
            down as PyTorch's operations and done for all at once, where it looks at no values,
            draws nothing but by dropout layers, and the training is long enough to pay for that;
            the rest train one by one, with the reason at debug level. "traced" writes down short
            trainings, too; "single" has all train one by one.
        checkpoints: a folder for the state of trainings under way: a trial that was cut off and
            runs again (same configuration, seeds, data and trainer) goes on after its last whole
            checkpoint, reports the epochs before once more, and has the result that it would have
            had, bit for bit. A trial removes its files when it ends; no pickle is read. State of a
            network outside of its parameters and buffers is not kept, and a change in the body of
            your own `forward`, or in what your own loss or metric calls, is not noticed: empty the
            folder then, and when a study was given up or a worker was killed for its
            `trial_timeout`.
        checkpoint_every: epochs from one checkpoint to the next. A small network's file takes one
            millisecond, so choose several where an epoch takes few.

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
        options = Options(
            stopping, evaluation_rows, device, threads, dtype, precision, compile, engine
        )
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
                loss,
                loss_function,
                self.metric,
                stopping,
                n_classes,
                evaluation_rows,
                precision=precision,
                compile=compile,
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

        Trials whose networks have the same architecture and batch size train as one program (see
        `engine`), each with its own optimizer, learning rate, schedule, penalties, dropout, seed
        and stopping; the result of each is the one that it has alone. All trials finish an epoch,
        and report it, before any is asked whether it should stop. What goes wrong with a trial is
        its result and does not touch the others. Seconds are a trial's share of what ran together.
        """
        of: dict[TrainingRun, Trial] = {}
        runs, failed = self._begin(trials, of, Loads())
        yield from failed
        for run in self._factory.train(runs):
            yield from self._end([run], of)

    def stream(self, arrivals: Iterable[Sequence[Trial]]) -> Iterator[tuple[int, Result]]:
        """Train trials that begin at different epochs; yield each one's number and result.

        This is `many` for ``study.optimize(trainer, slots=16)``: `arrivals` gives the trials that
        begin with each epoch, which join the programs of those that train already. The result of
        each is the one that it has alone, whoever trains beside it and since when.

        Args:
            arrivals: asked for the next trials when those that ended in an epoch have been taken;
                see `metaopt.trials.objective.StreamObjective`.

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
        """Make runs, and note in `of` whose they are; return also the results of who has none."""
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

        The hidden test part, if there is one, is cut off first, as in every trial; folds depend
        on the data, `validation` and `data_seed` only, so that results for several configurations
        or trainers are paired.

        Args:
            config: the configuration.
            seed: of the weights and of dropout, the same for all folds.
            data_seed: of folds and sample order; None is `seed`.
            validation: a number of folds or a splitter; None is the trainer's own.

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
        """Train as a trial with these seeds did, and return the network.

        With folds, one network is trained on all that is not the hidden test part, for the median
        over folds of their best epochs (the upper one of two), along the schedule of the trial.
        Its `value` is the mean over folds: there is no sample left to validate it on.

        Args:
            config: the configuration.
            seed: the trial's seed.
            data_seed: the study's seed; None is `seed`.
            result: of the trial; spares the training of the folds, whose best epochs it holds.

        Raises:
            TrainingError: a hyper-parameter is wrong, or the training diverges.

        """
        data_seed = seed if data_seed is None else data_seed
        return self._refitting.refit(config, seed, data_seed, result)

    def _result(self, run: TrainingRun, trial: Trial) -> Result:
        metrics = measured(run, self._extra, self._factory.thread_limit)
        return result_of(run, trial, metrics)
