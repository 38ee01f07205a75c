"""MLflow logs the content of a study; runs only if mlflow (or mlflow-skinny) is installed."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import logged
import pytest

import metaopt
from metaopt.core.errors import MissingExtraError
from metaopt.integrations.mlflow import MLflow, export

# MLflow warns about its own dependencies.
pytestmark = pytest.mark.filterwarnings("ignore")
needs_mlflow = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="needs mlflow, which is not in the dev extra"
)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


def check(study: metaopt.Study, log: MLflow) -> None:
    parent = log.client.get_run(log.run_id)
    assert parent.data.tags["mlflow.runName"] == study.name
    best = {m.step: m.value for m in log.client.get_metric_history(log.run_id, "best")}
    steps = logged.best_so_far(study)
    assert best == {t.number: t.value for t in study.told if steps.get(t.number) == t.value}
    runs = log.client.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{log.run_id}'"
    )
    by_number = {int(r.data.tags["metaopt.trial"]): r for r in runs}
    assert len(runs) == len(by_number) == len(study.told)
    for t in study.told:
        run = by_number[t.number]
        status = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}[t.status]
        assert run.info.status == status
        assert json.loads(run.data.tags["metaopt.config"]) == t.params
        assert run.data.params["lr"] == str(t.params["lr"])
        assert run.data.params["weird _ name ___"] == t.params["weird = name [%]"]
        assert run.data.metrics.get("value") == t.value
        assert run.data.metrics.get("test") == t.metrics.get("test")
        curve = log.client.get_metric_history(run.info.run_id, "report")
        assert {m.step: m.value for m in curve} == dict(t.curve)
        if t.status == "failed":
            assert "every fifth" in run.data.tags["metaopt.error"]


@needs_mlflow
def test_the_callback_logs_all_trials_and_starts_no_active_run(uri: str) -> None:
    import mlflow

    study = logged.study()
    log = MLflow(uri, "callback")
    study.optimize(logged.objective, 10, callbacks=[log])
    assert {t.status for t in study.told} == {"complete", "pruned", "failed"}
    assert mlflow.active_run() is None
    check(study, log)
    assert log.client.get_run(log.run_id).info.status == "RUNNING"
    log.close()
    assert log.client.get_run(log.run_id).info.status == "FINISHED"


@needs_mlflow
def test_a_resumed_study_is_logged_once_and_in_one_run(uri: str, tmp_path: Path) -> None:
    ids = set()
    for total, logs in ((3, []), (6, [MLflow(uri, "resumed")]), (9, [MLflow(uri, "resumed")])):
        study = logged.study(storage=tmp_path / "s.db")
        study.optimize(logged.objective, total, callbacks=logs)
        ids |= {log.run_id for log in logs}
        study.close()
    assert len(ids) == 1
    check(study, logs[0])


@needs_mlflow
def test_each_study_in_memory_gets_its_own_run(uri: str) -> None:
    ids = []
    for _ in range(2):
        study = logged.study()
        assert export(study, uri, "memory") is None
        study.optimize(logged.objective, 2)
        ids.append(export(study, uri, "memory"))
    assert len(set(ids)) == 2


def test_names_that_mlflow_rejects_are_replaced_and_stay_different() -> None:
    from metaopt.integrations.mlflow import _names

    made = _names({"a=b": 1, "a%b": 2, "../x": "y" * 10_000, "": 3, "ok-1. /x": 4})
    assert len(made) == 5
    assert made["a_b"] == "1"
    assert made["a_b_2"] == "2"
    assert max(map(len, made.values())) == 500
    assert "ok-1. /x" in made


def test_without_the_package_the_error_names_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"metaopt-engine\[mlflow\]"):
        MLflow()
