"""TensorBoard reads the content of the study from the files."""

from __future__ import annotations

import sys
from pathlib import Path

import logged
import pytest

import metaopt
from metaopt.core.errors import MissingExtraError
from metaopt.integrations.tensorboard import TensorBoard, export

pytest.importorskip("tensorboard")


def read(folder: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def scalars(folder: Path, tag: str) -> dict[int, float]:
    return {e.step: e.value for e in read(folder).Scalars(tag)}


def hparams(folder: Path) -> dict[str, object]:
    """Return the hyperparameters that the HParams plugin reads."""
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    data = read(folder).PluginTagToContent(metadata.PLUGIN_NAME)
    start = HParamsPluginData.FromString(data[metadata.SESSION_START_INFO_TAG])
    values = start.session_start_info.hparams
    return {k: getattr(v, v.WhichOneof("kind")) for k, v in values.items()}


def ended(folder: Path) -> int:
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    data = read(folder).PluginTagToContent(metadata.PLUGIN_NAME)
    return HParamsPluginData.FromString(data[metadata.SESSION_END_INFO_TAG]).session_end_info.status


def check(study: metaopt.Study, folder: Path) -> None:
    values = {t.number: t.value for t in study.told if t.value is not None}
    assert scalars(folder / "study", "value") == pytest.approx(values)
    assert scalars(folder / "study", "best so far") == pytest.approx(logged.best_so_far(study))
    assert len(list(folder.glob("trial-*"))) == len(study.told)
    for t in study.told:
        own = folder / f"trial-{t.number:06d}"
        assert scalars(own, "report") == pytest.approx(dict(t.curve))
        assert hparams(own) == pytest.approx(t.params)
        assert ended(own) == (2 if t.status == "failed" else 1)  # STATUS_FAILURE, STATUS_SUCCESS
        if t.value is not None:
            assert scalars(own, "value") == pytest.approx({t.number: t.value})
            assert scalars(own, "metrics/test") == pytest.approx({t.number: t.metrics["test"]})


def test_the_callback_writes_all_trials(tmp_path: Path) -> None:
    study = logged.study()
    board = TensorBoard(tmp_path)
    study.optimize(logged.objective, 10, callbacks=[board])
    board.close()
    assert {t.status for t in study.told} == {"complete", "pruned", "failed"}
    check(study, tmp_path)


def test_a_resumed_study_is_written_once(tmp_path: Path) -> None:
    storage, folder = tmp_path / "s.db", tmp_path / "runs"
    for total, callbacks in ((3, []), (6, [TensorBoard(folder)]), (9, [TensorBoard(folder)])):
        study = logged.study(storage=storage)
        study.optimize(logged.objective, total, callbacks=callbacks)
        for board in callbacks:
            board.close()
        study.close()
    check(study, folder)
    points = read(folder / "study").Scalars("best so far")
    assert len(points) == len({e.step for e in points})


def test_exporting_a_finished_study_twice_writes_it_once(tmp_path: Path) -> None:
    study = logged.study()
    assert export(study, tmp_path / "empty") == tmp_path / "empty"
    study.optimize(logged.objective, 7)
    for _ in range(2):
        export(study, tmp_path)
    check(study, tmp_path)


def test_without_the_package_the_error_names_the_extra(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"metaopt-engine\[tensorboard\]"):
        TensorBoard(tmp_path)
