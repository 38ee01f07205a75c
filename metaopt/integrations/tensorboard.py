"""Log studies to TensorBoard: curves of trials, best value so far, hyperparameters and results.

    study.optimize(objective, n_trials=50, callbacks=[TensorBoard("runs/mnist")])

Then run ``tensorboard --logdir runs/mnist``. The folder ``study`` holds the value of each trial and
the best so far; ``trial-000007`` holds the reports, metrics and hyperparameters of trial 7.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaopt.core.errors import missing_extra
from metaopt.space import Scalar
from metaopt.storage.study_view import StudyView
from metaopt.trials.records import TrialRecord

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

STUDY = "study"  # name of the folder for values of all trials
REPORT = "report"  # tag of intermediate values


class TensorBoard:
    """Writes a study while it runs; a callback of `Study.optimize`.

    The earlier trials of a resumed study are written at the first call. A trial whose folder exists
    is not written again, so a study that is resumed in a new process can use the same folder.

    Args:
        folder: the folder to pass to TensorBoard as ``--logdir``; created if necessary.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        _needed()
        self.folder = Path(folder)
        self._study: Any = None
        self._finish: weakref.finalize[Any, Any] | None = None

    def __call__(self, study: StudyView, record: TrialRecord) -> None:
        """Write the trials that were told and are not written yet, including `record`."""
        if self._study is None:
            self._study = _writer(self.folder / STUDY)
            self._finish = weakref.finalize(self, self._study.close)
            new = study.told
        else:
            new = [record]
        for each in new:
            if not (self.folder / _folder_of(each)).exists():
                _write_trial(self.folder / _folder_of(each), study, each)
                self._write_progress(study, each)
        self._study.flush()

    def close(self) -> None:
        """Write buffered data and close the files; also done when the object is deleted."""
        if self._finish is not None:
            self._finish()

    def _write_progress(self, study: StudyView, record: TrialRecord) -> None:
        better = min if study.direction == "minimize" else max
        values = [t.value for t in study.told if t.number <= record.number and t.value is not None]
        points = {"value": record.value, "seconds": record.seconds}
        if values:
            points["best so far"] = better(values)
        for tag, value in points.items():
            if value is not None:
                _add(self._study, _scalar(tag, value), record.number, record.finished)


def export(study: StudyView, folder: str | Path) -> Path:
    """Write a study that has already run.

    Args:
        study: to be written.
        folder: the folder to pass to TensorBoard as ``--logdir``; created if necessary.

    Returns:
        The folder.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """
    board = TensorBoard(folder)
    if study.told:
        board(study, study.told[-1])
    board.close()
    return board.folder


def _folder_of(record: TrialRecord) -> str:
    return f"trial-{record.number:06d}"


def _write_trial(folder: Path, study: StudyView, record: TrialRecord) -> None:
    writer = _writer(folder)
    try:
        for summary in _session(study, record):
            _add(writer, summary, 0, record.started)
        for step, value in record.curve:
            # TensorBoard's steps are integers, so fractions (such as of seconds) are truncated.
            _add(writer, _scalar(REPORT, value), int(step), record.finished)
        for tag, value in _results(record).items():
            _add(writer, _scalar(tag, value), record.number, record.finished)
        _add(writer, _end(record), 0, record.finished)
    finally:
        writer.close()


def _results(record: TrialRecord) -> dict[str, float]:
    value = {} if record.value is None else {"value": record.value}
    return {**value, **{f"metrics/{k}": v for k, v in record.metrics.items()}}


def _session(study: StudyView, record: TrialRecord) -> Iterator[Summary]:
    """Return the data of the HParams page: names of the hyperparameters, and their values."""
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.api_pb2 import Experiment, HParamInfo, MetricInfo, MetricName
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

    params = record.params
    yield _plugin(
        metadata.EXPERIMENT_TAG,
        HParamsPluginData(
            experiment=Experiment(
                description=study.name,
                hparam_infos=[HParamInfo(name=k, type=_type(v)) for k, v in params.items()],
                metric_infos=[MetricInfo(name=MetricName(tag=k)) for k in _results(record)],
            )
        ),
    )
    start = SessionStartInfo(group_name=_folder_of(record), start_time_secs=record.started or 0.0)
    for name, value in params.items():
        if isinstance(value, bool):
            start.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            start.hparams[name].number_value = value
        else:
            start.hparams[name].string_value = str(value)
    yield _plugin(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start))


def _end(record: TrialRecord) -> Summary:
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.api_pb2 import Status
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

    failed = record.status == "failed"
    status = Status.Value("STATUS_FAILURE" if failed else "STATUS_SUCCESS")
    end = SessionEndInfo(status=status, end_time_secs=record.finished or 0.0)
    return _plugin(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end))


def _type(value: Scalar) -> int:
    from tensorboard.plugins.hparams.api_pb2 import DataType

    if isinstance(value, bool):
        return int(DataType.Value("DATA_TYPE_BOOL"))
    number = isinstance(value, int | float)
    return int(DataType.Value("DATA_TYPE_FLOAT64" if number else "DATA_TYPE_STRING"))


def _plugin(tag: str, data: Any) -> Summary:
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import metadata

    data.version = metadata.PLUGIN_DATA_VERSION
    plugin = SummaryMetadata.PluginData(
        plugin_name=metadata.PLUGIN_NAME, content=data.SerializeToString()
    )
    meta = SummaryMetadata(plugin_data=plugin)
    return Summary(value=[Summary.Value(tag=tag, metadata=meta)])


def _scalar(tag: str, value: float) -> Summary:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=tag, simple_value=value)])


def _add(writer: Any, summary: Summary, step: int, at: float | None) -> None:
    from tensorboard.compat.proto.event_pb2 import Event

    writer.add_event(Event(summary=summary, step=step, wall_time=at or 0.0))


def _writer(folder: Path) -> Any:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    return EventFileWriter(str(folder))


def _needed() -> None:
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise missing_extra(
            "tensorboard", "tensorboard", "metaopt.integrations.tensorboard"
        ) from None
