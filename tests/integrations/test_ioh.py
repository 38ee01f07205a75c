"""Exported comparisons follow the data format of IOHprofiler and hold the values of all trials."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import nasty
import numpy as np
import pytest

import metaopt
from metaopt import Categorical, Float, Int, Problem, Space, stats
from metaopt.core.errors import StudyError
from metaopt.integrations import ioh

SPACE = Space(
    x=Float(0, 1), k=Int(1, 4), kind=Categorical(["a", "b"]), m=Float(0, 1, when={"kind": ["a"]})
)


@dataclass
class File:
    """What the files of one algorithm on one function say, by the documented format."""

    about: dict
    runs: list[list[tuple[int, float]]]

    @property
    def scenario(self) -> dict:
        (only,) = self.about["scenarios"]
        return only


def read(folder: Path) -> dict[tuple[str, str], File]:
    """Read a folder as the readers do: a line whose first field has no digit starts a run."""
    out = {}
    for path in sorted(folder.rglob("*.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        (scenario,) = about["scenarios"]
        data = path.parent / scenario["path"]
        columns = about["attributes"]
        runs: list[list[tuple[int, float]]] = []
        for line in data.read_text(encoding="utf-8").splitlines():
            fields = line.split(" ")
            assert len(fields) == len(columns)
            if not any(c.isdigit() for c in fields[0]):
                assert fields == columns
                runs.append([])
            else:
                row = dict(zip(columns, fields, strict=True))
                runs[-1].append((int(row["evaluations"]), float(row["raw_y"])))
        assert len(runs) == len(scenario["runs"])
        out[about["algorithm"]["name"], about["function_name"]] = File(about, runs)
    return out


# Written by IOHexperimenter 0.4.2 (Python package ioh) for two runs of a random search.
REFERENCE = {
    "IOHprofiler_f1_Sphere.json": """{
\t"version": "0.4.2", \n\t"suite": "unknown_suite", \n\t"function_id": 1,
\t"function_name": "Sphere", \n\t"maximization": false,
\t"algorithm": {"name": "RS", "info": "info"},
\t"attributes": ["evaluations", "raw_y"],
\t"scenarios": [
\t\t{"dimension": 2,
\t\t"path": "data_f1_Sphere/IOHprofiler_f1_DIM2.dat",
\t\t"runs": [
\t\t\t{"instance": 1, "evals": 4, "best": {"evals": 3, "y": 0.062109049236748426,
\t\t\t"x": [0.11274721368608542, -0.9506586254958567]}},
\t\t\t{"instance": 1, "evals": 4, "best": {"evals": 3, "y": 0.5137986512187529,
\t\t\t"x": [-0.04564912908059071, -0.505089352112619]}}
\t\t]}
\t]
}""",
    "data_f1_Sphere/IOHprofiler_f1_DIM2.dat": """evaluations raw_y
1 24.1454188455
2 2.6689828082
3 0.0621090492
4 7.3394039305
evaluations raw_y
1 36.7289461541
2 7.3585497628
3 0.5137986512
4 17.9497037488
""",
}


def objective(trial) -> float:
    """Fail for large x, be pruned for large k, and give very small and very large values."""
    if trial["x"] > 0.8:
        raise ValueError("too large")
    for step in range(1, 4):
        trial.report(float(trial["k"]), step)
        trial.should_stop()
    return (1e-9 if trial["kind"] == "b" else 1e6) * (trial["x"] - 0.3)


@pytest.fixture(scope="module", params=["minimize", "maximize"])
def made(request):
    problems = [Problem("my problem", SPACE, objective, request.param), "branin"]
    strategies = {"random": "random", "small steps": {"name": "genetic", "population": 4}}
    return metaopt.compare(strategies, problems, 10, 4, seed=5, pruner="threshold:upper=3")


def filled(c, p) -> dict[str, list[list[float]]]:
    """Values of all trials; one without a value has the worst of its problem."""
    curves = c.curves(p.name)
    known = [v for rows in curves.values() for row in rows for v in row if v is not None]
    worst = max(known) if p.direction == "minimize" else min(known)
    return {
        s: [[worst if v is None else v for v in row] for row in rows] for s, rows in curves.items()
    }


def test_the_parser_of_this_test_reads_files_of_iohexperimenter(tmp_path: Path) -> None:
    for name, text in REFERENCE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    file = read(tmp_path)["RS", "Sphere"]
    assert [[at for at, _ in run] for run in file.runs] == [[1, 2, 3, 4]] * 2
    for run, about in zip(file.runs, file.scenario["runs"], strict=True):
        assert min(v for _, v in run) == pytest.approx(about["best"]["y"], abs=1e-10)


def test_all_trials_are_written_with_their_exact_values(made, tmp_path: Path) -> None:
    found = read(ioh.export(made, tmp_path / "out"))
    assert set(found) == {(s, p.name) for s in made.strategies for p in made.problems}
    statuses = {t.status for r in made.runs for t in r.trials}
    assert statuses == {"complete", "failed", "pruned"}
    for p in made.problems:
        for label, rows in filled(made, p).items():
            runs = found[label, p.name].runs
            assert [[v for _, v in run] for run in runs] == rows
            assert [[at for at, _ in run] for run in runs] == [list(range(1, 11))] * 4


def test_improvements_keep_the_first_and_last_trial_and_the_best_so_far(made, tmp_path) -> None:
    found = read(ioh.export(made, tmp_path / "out", "improvements"))
    for p in made.problems:
        for label, rows in filled(made, p).items():
            for run, row in zip(found[label, p.name].runs, rows, strict=True):
                best = stats.best_so_far(row, p.direction)
                new = [i for i in range(10) if i == 0 or best[i] != best[i - 1] or i == 9]
                assert [at - 1 for at, _ in run] == new
                assert [v for _, v in run] == [row[i] for i in new]


def test_the_meta_data_are_those_of_the_runs(made, tmp_path: Path) -> None:
    folder = ioh.export(made, tmp_path / "out")
    better = {"minimize": min, "maximize": max}
    for (label, name), file in read(folder).items():
        p = made.problem(name)
        assert file.about["maximization"] == (p.direction == "maximize")
        assert file.about["function_id"] == 1 + [q.name for q in made.problems].index(name)
        assert file.scenario["dimension"] == len(p.space)
        assert tuple(map(int, file.about["version"].split("."))) >= (0, 3, 3)  # for IOHanalyzer
        runs = [r for r in made.runs if (r.strategy, r.problem) == (label, name)]
        for about, run, values in zip(file.scenario["runs"], runs, file.runs, strict=True):
            assert (about["instance"], about["seed"]) == (run.repeat, run.seed)
            assert about["evals"] == len(run.trials)
            assert about["without_value"] == sum(t.value is None for t in run.trials)
            best = about["best"]
            assert best["y"] == better[p.direction](v for _, v in values)
            assert values[best["evals"] - 1][1] == best["y"]
            if run.best is not None and best["y"] == run.best.value:
                config = p.space.decode(np.array([best["x"]]))[0]
                assert config == pytest.approx(run.best.params)


def test_files_are_laid_out_as_documented(made, tmp_path: Path) -> None:
    folder = ioh.export(made, tmp_path / "out")
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert names == {
        f"{s}/{file}"
        for s in ("random", "small-steps")
        for file in (
            "IOHprofiler_f1_my-problem.json", "data_f1_my-problem/IOHprofiler_f1_DIM4.dat",
            "IOHprofiler_f2_branin.json", "data_f2_branin/IOHprofiler_f2_DIM2.dat",
        )
    }  # fmt: skip


def test_a_run_without_any_value_has_the_worst_one_throughout(made, tmp_path: Path) -> None:
    def without(run):
        lost = [dataclasses.replace(t, result=metaopt.Result.failed("timeout")) for t in run.trials]
        return dataclasses.replace(run, trials=tuple(lost))

    first, *rest = made.runs
    c = dataclasses.replace(made, runs=(without(first), *rest))
    file = read(ioh.export(c, tmp_path / "out", "improvements"))[first.strategy, first.problem]
    (worst,) = {v for _, v in file.runs[0]}
    assert [at for at, _ in file.runs[0]] == [1, 10]
    assert worst == filled(c, c.problem(first.problem))[first.strategy][0][0]
    assert file.scenario["runs"][0]["without_value"] == 10
    with pytest.raises(StudyError, match="no trial on 'my problem' is complete"):
        ioh.export(dataclasses.replace(made, runs=tuple(map(without, made.runs))), tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_stored_comparison_gives_the_same_files(tmp_path: Path) -> None:
    store = tmp_path / "c.db"
    c = metaopt.compare(["random", "sobol"], "branin", 5, 2, storage=store)
    one = ioh.export(c, tmp_path / "one")
    two = ioh.export(metaopt.load_comparison(store), tmp_path / "two")
    files = [
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in (one, two)
    ]
    assert files[0] == files[1] and files[0]


def test_malicious_names_stay_inside_the_folder_and_different(tmp_path: Path) -> None:
    problems = [Problem(name, SPACE, objective) for name in (nasty.IMAGE, "../../up", "..")]
    labels = {nasty.FORMULA: "random", nasty.LATEX: "sobol", "..": "random"}
    c = metaopt.compare(labels, problems, 4, 2)
    folder = ioh.export(c, tmp_path / "deep" / "out")
    found = read(folder)
    assert set(found) == {(s, p.name) for s in c.strategies for p in c.problems}
    assert list((tmp_path / "deep").iterdir()) == [folder]
    labels = {"a b": "random", "a-b": "sobol", "A b": "grid", "…": "random", "?": "sobol"}
    alike = metaopt.compare(labels, "branin", 2, 1)
    places = [p.name for p in ioh.export(alike, tmp_path / "alike").iterdir()]
    assert len({p.casefold() for p in places}) == len(labels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, to: ioh.export(c.runs, to / "x"), r"result of metaopt\.compare, got tuple"),
        (lambda c, to: ioh.export(c, to / "x", "improvement"), "did you mean 'improvements'"),
        (lambda c, to: ioh.export(c, None), "folder must be a path, got NoneType"),
        (lambda c, to: ioh.export(c, to), "holds files.*new or empty folder"),
        (lambda c, to: ioh.export(c, to / "file"), "is a file; name a new or empty folder"),
    ],
)
def test_bad_input_is_named(made, call, message, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StudyError, match=message):
        call(made, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
