"""Log studies to MLflow: one run for the study and, nested in it, one run per trial.

    study.optimize(objective, n_trials=50, callbacks=[MLflow("sqlite:///mlflow.db")])

This module uses the MLflow client, not the fluent interface with its global active run. So it does
not disturb your own runs, even inside the objective.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaopt.core.errors import missing_extra
from metaopt.storage.study_view import StudyView
from metaopt.trials.records import TrialRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
LONGEST = 500  # characters of a parameter value or tag that every server accepts
BATCH = 100  # parameters or metrics per request


class MLflow:
    """Logs a study while it runs; a callback of `Study.optimize`.

    Each trial becomes a run with its parameters, its metrics (``value``, those of the result, and
    the intermediate reports as ``report``) and a status: FINISHED, KILLED (pruned) or FAILED. The
    run of the study gets the metric ``best`` at every trial that is better than all before it. A
    stored study keeps its run when it is resumed, and its trials are logged once.

    Args:
        tracking_uri: URI of the server or database; None for MLflow's own default.
        experiment: name of the experiment; created if it does not exist.

    Attributes:
        run_id: of the study's run; None before the first trial.

    Raises:
        MissingExtraError: mlflow is not installed.
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str = "metaopt") -> None:
        try:
            from mlflow import MlflowClient
        except ImportError:
            raise missing_extra("mlflow", "mlflow", "metaopt.integrations.mlflow") from None
        self.client: MlflowClient = MlflowClient(tracking_uri)
        self.experiment = experiment
        self.run_id: str | None = None  # of the study
        self._experiment_id = ""
        self._logged: set[int] = set()
        self._best: float | None = None

    def __call__(self, study: StudyView, record: TrialRecord) -> None:
        """Log the trials that were told and are not logged yet, including `record`."""
        new = [record]
        if self.run_id is None:
            self._open(study)
            new = study.told
        for each in new:
            better = self._improves(study, each)
            if each.number not in self._logged:
                self._log(each, better)
                self._logged.add(each.number)

    def close(self) -> None:
        """Mark the run of the study as finished; later trials may still be added to it."""
        if self.run_id is not None:
            self.client.set_terminated(self.run_id)

    def _open(self, study: StudyView) -> None:
        """Find the run of a stored study, or create one."""
        found = self.client.get_experiment_by_name(self.experiment)
        self._experiment_id = (
            self.client.create_experiment(self.experiment) if found is None else found.experiment_id
        )
        made = study.strategy.header()
        key = _key(study)
        for run in self._search("metaopt.study", key) if key else ():
            self.run_id = run.info.run_id
        if self.run_id is not None:
            self._logged = {
                int(run.data.tags["metaopt.trial"])
                for run in self._search("mlflow.parentRunId", self.run_id)
                if run.info.status != "RUNNING"  # an interrupted one is logged again
            }
            return
        tags = {
            "mlflow.runName": study.name,
            "metaopt.study": key,
            "metaopt.strategy": made["strategy"],
            "metaopt.direction": study.direction,
            "metaopt.seed": str(made["seed"]),
        }
        self.run_id = self.client.create_run(self._experiment_id, tags=tags).info.run_id

    def _improves(self, study: StudyView, record: TrialRecord) -> bool:
        """Whether a trial is better than all before it; if so, store its value as the best."""
        if record.value is None:
            return False
        sign = 1 if study.direction == "minimize" else -1
        if self._best is not None and sign * record.value >= sign * self._best:
            return False
        self._best = record.value
        return True

    def _search(self, tag: str, value: str) -> Iterator[Any]:
        token = None
        while True:
            page = self.client.search_runs(
                [self._experiment_id], f"tags.`{tag}` = '{value}'", page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _log(self, record: TrialRecord, better: bool) -> None:
        from mlflow.entities import Param

        run = self.client.create_run(
            self._experiment_id,
            start_time=_milliseconds(record.started or record.asked),
            tags={
                "mlflow.runName": f"trial {record.number}",
                "mlflow.parentRunId": self.run_id,
                "metaopt.trial": str(record.number),
                "metaopt.origin": record.origin,
                "metaopt.status": record.status,
                "metaopt.config": json.dumps(record.params),
                **_failure(record),
            },
        )
        params = [Param(k, v) for k, v in _names(record.params).items()]
        for i in range(0, len(params), BATCH):
            self.client.log_batch(run.info.run_id, params=params[i : i + BATCH])
        self._measure(run.info.run_id, record)
        if better and record.value is not None:
            at = _milliseconds(record.finished) or 0
            self.client.log_metric(str(self.run_id), "best", record.value, at, record.number)
        ended = _milliseconds(record.finished)
        self.client.set_terminated(run.info.run_id, STATUS[record.status], ended)

    def _measure(self, run_id: str, record: TrialRecord) -> None:
        from mlflow.entities import Metric

        at = _milliseconds(record.finished) or 0
        results = {**record.metrics, **({} if record.value is None else {"value": record.value})}
        metrics = [Metric(name, v, at, 0) for name, v in _names(results, as_text=False).items()]
        # MLflow's steps are integers, so fractions (such as of seconds) are truncated.
        metrics += [Metric("report", v, at, int(step)) for step, v in record.curve]
        for i in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[i : i + BATCH])


def export(
    study: StudyView, tracking_uri: str | None = None, experiment: str = "metaopt"
) -> str | None:
    """Log a study that has already run.

    Args:
        study: to be logged.
        tracking_uri: URI of the server or database; None for MLflow's own default.
        experiment: name of the experiment; created if it does not exist.

    Returns:
        The id of the study's run; None if the study has no told trial.

    Raises:
        MissingExtraError: mlflow is not installed.
    """
    log = MLflow(tracking_uri, experiment)
    if study.told:
        log(study, study.told[-1])
        log.close()
    return log.run_id


def _key(study: StudyView) -> str:
    """Return a key that identifies a stored study; empty for a study in memory."""
    if study.storage is None:
        return ""
    where = study.storage if "://" in study.storage else str(Path(study.storage).resolve())
    return hashlib.sha256(json.dumps([where, study.name]).encode()).hexdigest()


def _names(values: Any, *, as_text: bool = True) -> dict[str, Any]:
    """Replace characters that MLflow rejects in names (not letters, digits, ``_-. /``).

    Names stay different from each other.
    """
    out: dict[str, Any] = {}
    for name, value in values.items():
        stem = re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII).strip("/. ")[:200] or "_"
        chosen, i = stem, 2
        while chosen in out:
            chosen, i = f"{stem}_{i}", i + 1
        out[chosen] = str(value)[:LONGEST] if as_text else value
    return out


def _failure(record: TrialRecord) -> dict[str, str]:
    error = None if record.result is None else record.result.error
    return {} if error is None else {"metaopt.error": f"{error.kind}: {error.message}"[:LONGEST]}


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(1000 * seconds)
