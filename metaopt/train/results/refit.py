"""After a search: cross-validate one configuration, or train it again to get its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_high

from metaopt.core.errors import TrainingError
from metaopt.space import Scalar
from metaopt.train.data.folds import Splitter, is_folds
from metaopt.train.data.preparation import Data
from metaopt.train.engines.base import Member
from metaopt.train.results.cross_validation import CrossValidation, read_folds
from metaopt.train.results.fitted import Fitted
from metaopt.train.results.outcome import best_epochs, measured
from metaopt.train.scheduling.factory import Factory
from metaopt.train.scheduling.run import TrainingRun
from metaopt.train.settings.metrics import Metric
from metaopt.trials.records import Result


@dataclass(frozen=True)
class Refitting:
    """Trains single configurations; see `Trainer.cross_validate` and `Trainer.refit`.

    Attributes:
        data: the data of the trainer.
        factory: makes and trains the runs of the trainer.
        extra: metrics in addition to the main one.

    """

    data: Data
    factory: Factory
    extra: Sequence[Metric]

    def cross_validate(
        self,
        config: Mapping[str, Scalar],
        seed: int,
        data_seed: int,
        validation: int | Splitter | None,
    ) -> CrossValidation:
        """Train one configuration on every fold.

        Raises:
            TrainingError: there are no folds, or a fold diverged.

        """
        folds = self.data.folds if validation is None else validation
        if not is_folds(folds):
            raise TrainingError(
                "cross_validate needs validation=: a number of folds, at least 2, or a splitter"
                f" such as scikit-learn's KFold(5), got {validation!r}"
            )
        device = self.factory.options.devices()[0]
        splits = self.data.split(data_seed, device, folds)
        run = self.factory.train_one(self.factory.run(config, seed, data_seed, splits))
        return read_folds(run, self._metrics(run), self.data)

    def refit(
        self, config: Mapping[str, Scalar], seed: int, data_seed: int, result: Result | None
    ) -> Fitted:
        """Train a configuration as its trial did; with folds, on all but the test part.

        Raises:
            TrainingError: the training diverged, or `result` is not complete or has no folds.

        """
        member, value = self._to_refit(config, seed, data_seed, result)
        run = self.factory.train_one(TrainingRun([member]))
        (metrics,) = self._metrics(run)
        history, split = member.progress.history, member.data
        if history.value is None:
            raise TrainingError(
                f"training diverged in epoch {history.epochs}, so there is no network"
            )
        curve = tuple(history.curve)
        if value is not None:  # no validation part: only scores on the test part are meaningful
            names = {metric.name for metric in self.extra}
            curve, metrics = (), {k: v for k, v in metrics.items() if k not in names}
        options = self.factory.options
        return Fitted(
            network=member.network,
            config={**self.factory.defaults, **config},
            value=history.value if value is None else value,
            metrics=metrics,
            curve=curve,
            classes=self.data.classes,
            x_scaler=split.x_scaler,
            y_scaler=split.y_scaler,
            build=self.factory.build,
            shape=self.data.shape,
            dtype=options.dtype,
            evaluation_rows=options.rules.evaluation_rows,
        )

    def _to_refit(
        self, config: Mapping[str, Scalar], seed: int, data_seed: int, result: Result | None
    ) -> tuple[Member, float | None]:
        """Return the member to train and, with folds, the mean value of the folds; else None."""
        device = self.factory.options.devices()[0]
        if self.data.folds is None:
            (split,) = self.data.prepare(data_seed, device)
            return self.factory.member(config, seed, data_seed, split), None
        if result is None:
            found = self.cross_validate(config, seed, data_seed, None)
            epochs, value = [f.metrics["best_epoch"] for f in found.folds], found.value
        else:
            epochs, value = best_epochs(result)
        whole = self.data.whole(data_seed, device)
        task = replace(self.factory.task, stopping=None)
        most = int(median_high(epochs))
        return self.factory.member(config, seed, data_seed, whole, most, task), value

    def _metrics(self, run: TrainingRun) -> list[dict[str, float]]:
        return measured(run, self.extra, self.factory.thread_limit)
