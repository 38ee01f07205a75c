"""Results of a cross-validation of one configuration: scores and predictions of every fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaopt.core.errors import TrainingError
from metaopt.train.data.preparation import Data
from metaopt.train.engines.base import Member
from metaopt.train.engines.single import outputs_of
from metaopt.train.scheduling.run import TrainingRun


@dataclass(frozen=True)
class FoldScore:
    """Result of one fold; n is the number of its validation samples.

    Attributes:
        rows: row numbers of X in the validation part, ascending, shape (n,).
        train_size: number of training samples.
        value: the metric of the trainer on the validation part, at the final weights.
        metrics: as in the result of a trial: further metrics, "test", "epochs", "best_epoch", ...
        curve: (epoch, metric) of every epoch.
        outputs: of the network for `rows`: scores, shape (n, c), or values in the units of y.
        predictions: labels, shape (n,), for classification; otherwise the outputs.
        targets: the values of y for `rows`, shape (n, ...).

    """

    rows: NDArray[np.int64]
    train_size: int
    value: float
    metrics: Mapping[str, float]
    curve: tuple[tuple[int, float], ...] = field(repr=False)
    outputs: NDArray[Any] = field(repr=False)
    predictions: NDArray[Any] = field(repr=False)
    targets: NDArray[Any] = field(repr=False)


@dataclass(frozen=True)
class CrossValidation:
    """The folds of one configuration, in the splitter's order.

    Two results with the same data, splitter and `data_seed` are paired: fold k has the same rows.

    Attributes:
        folds: the result of each fold.
        classes: labels in the order of the outputs; None for regression.

    """

    folds: tuple[FoldScore, ...]
    classes: NDArray[Any] | None = None

    @property
    def scores(self) -> NDArray[np.float64]:
        """The metric of each of the k folds, shape (k,)."""
        return np.array([fold.value for fold in self.folds])

    @property
    def value(self) -> float:
        """The mean of the metric over the folds."""
        return fmean(fold.value for fold in self.folds)

    @property
    def predictions(self) -> NDArray[Any]:
        """The prediction for each sample, by the network that was not trained on it.

        In the order of X, for all samples that are in a validation part.

        Raises:
            TrainingError: a sample is in several validation parts, as with repeated splits.

        """
        return self._joined([fold.predictions for fold in self.folds])

    @property
    def targets(self) -> NDArray[Any]:
        """The values of y for the samples of `predictions`."""
        return self._joined([fold.targets for fold in self.folds])

    def _joined(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        rows = np.concatenate([fold.rows for fold in self.folds])
        if len(np.unique(rows)) < len(rows):
            raise TrainingError(
                "some samples are predicted by several folds; use the predictions of each fold"
            )
        joined: NDArray[Any] = np.concatenate(parts)[np.argsort(rows)]
        return joined


def read_folds(
    run: TrainingRun, metrics: Sequence[Mapping[str, float]], data: Data
) -> CrossValidation:
    """Return the scores of the folds of a finished training run.

    Raises:
        TrainingError: a fold diverged.

    """
    failed = run.failed
    if failed is not None:
        raise TrainingError(
            f"training diverged in epoch {run.members[failed].progress.history.epochs} of fold"
            f" {failed + 1} of {len(run.members)}"
        )
    pairs = zip(run.members, metrics, strict=True)
    return CrossValidation(tuple(_read(m, found, data) for m, found in pairs), data.classes)


def _read(member: Member, metrics: Mapping[str, float], data: Data) -> FoldScore:
    split, history = member.data, member.progress.history
    assert history.value is not None
    assert split.rows is not None
    outputs = outputs_of(member, split.validation.X)
    if split.y_scaler is not None:
        outputs = split.y_scaler.undo(outputs)
    array = outputs.detach().cpu().numpy()
    return FoldScore(
        rows=split.rows,
        train_size=len(split.train.y),
        value=history.value,
        metrics=metrics,
        curve=tuple(history.curve),
        outputs=array,
        predictions=array if data.classes is None else data.classes[array.argmax(1)],
        targets=data.targets(split.validation.y, split.y_scaler),
    )
