"""The command line: ``metaopt run``, ``compare``, ``watch``, ``report``, ``show`` and lists.

Bad input ends with exit code 2 and one line on stderr. Ctrl-C ends with exit code 130 and prints
the command that resumes the run.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from metaopt.core.errors import MetaoptError
from metaopt.core.text import brief
from metaopt.core.version import __version__
from metaopt.storage import Replay, Store, StudyHeader
from metaopt.storage.opening import open_store
from metaopt.trials.records import TrialRecord, best_first

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Optimise hyperparameters, and compare search strategies statistically.",
)

INTERRUPTED = 130  # the shell's code for Ctrl-C

Storage = Annotated[
    str | None,
    typer.Option(help="SQLite file or database URL; the same command resumes a stored run."),
]
Pruning = Annotated[
    str | None,
    typer.Option(
        "--pruner",
        help="Stops bad trials early: median, asha, hyperband:max_resource=81, ...; default: none.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")]


def _version(show: bool) -> None:
    if show:
        typer.echo(f"metaopt {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def strategies() -> None:
    """List the search strategies."""
    from metaopt.strategy.registry import strategies as listed

    _table(("strategy", "what it does"), listed().items())


@app.command()
def problems() -> None:
    """List the test problems."""
    from metaopt.problems import describe

    _table(("problem", "what it is"), describe().items())


@app.command()
def run(
    problem: Annotated[str, typer.Argument(help="Name; `metaopt problems` lists them.")],
    strategy: Annotated[
        str | None, typer.Option(help="Name; `metaopt strategies` lists them; default: bayes.")
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Total number of trials, including stored ones.")
    ] = 50,
    seed: Seed = 0,
    storage: Storage = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the study; default: the problem's name.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Trials to propose and evaluate together.")
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(
            min=1, help="Trials that train at the same time; each is replaced when it ends."
        ),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds after which no further trial starts.")
    ] = None,
    pruner: Pruning = None,
) -> None:
    """Optimise one problem with one strategy."""
    from metaopt import problems as known
    from metaopt.strategy.registry import make_strategy
    from metaopt.study import DEFAULT_STRATEGY, Study

    chosen = known.get(problem)
    name = name or chosen.name
    # A stored study keeps its budget, which cannot change; so --trials can be raised later.
    budget = trials if storage is None else _stored_budget(storage, name, trials)
    made = make_strategy(strategy or DEFAULT_STRATEGY, chosen.space, seed, budget)
    study = Study(chosen.space, made, chosen.direction, storage=storage, pruner=pruner, name=name)
    outcome = study.optimize(
        chosen.objective, trials, timeout, batch_size=batch_size, slots=slots, progress=True
    )
    typer.echo(outcome.message)
    _print_trials(study.trials, study.direction)
    if storage is not None:
        typer.echo(f"show it again with: metaopt show {shlex.quote(storage)} --study {study.name}")
    study.close()


def _stored_budget(storage: str, name: str, default: int) -> int | None:
    store = open_store(storage)
    stored = store.find(name)
    store.close()
    return default if stored is None else stored.header["budget"]


@app.command()
def compare(
    problem: Annotated[
        list[str], typer.Argument(help="One or more names; `metaopt problems` lists them.")
    ],
    strategies: Annotated[
        str, typer.Option(help="Names, separated by commas; `metaopt strategies` lists them.")
    ],
    trials: Annotated[int, typer.Option(min=1, help="Number of trials in each run.")] = 50,
    repeats: Annotated[
        int, typer.Option(min=1, help="Runs per problem and strategy, paired by seed.")
    ] = 10,
    seed: Seed = 0,
    storage: Storage = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Folder for the report with figures and tables; or X.html (page only)."),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(help="Strategy to test others against; default: random, else the first."),
    ] = None,
    alpha: Annotated[float, typer.Option(help="Probability of any false claim, at most.")] = 0.05,
    margin: Annotated[
        float | None,
        typer.Option(help="Largest difference in value that does not matter; tests for it."),
    ] = None,
    max_repeats: Annotated[
        int | None,
        typer.Option(
            min=1, help="Add repeats until all is decided, at most so many, in place of --repeats."
        ),
    ] = None,
    pruner: Pruning = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
) -> None:
    """Compare strategies on problems, with runs paired by seed."""
    from metaopt.comparison.strategies import MAX_REPEATS
    from metaopt.comparison.strategies import compare as compare_

    names = [name.strip() for name in strategies.split(",") if name.strip()]
    if report is not None:
        _check_report("--report", report)
    result = compare_(
        names,
        problem,
        trials,
        repeats if max_repeats is None else "until",
        seed,
        storage,
        control=control,
        alpha=alpha,
        max_repeats=max_repeats or MAX_REPEATS,
        margin=margin,
        pruner=pruner,
        workers=workers,
        progress=True,
    )
    result.print()
    if report is not None:
        typer.echo(f"report: {result.report(report)}")


@app.command()
def report(
    storage: Annotated[str, typer.Argument(help="A study file or database URL.")],
    study: Annotated[
        str | None, typer.Option(help="Name of a study, if the file holds several.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder; or X.html (page only); default: a folder next to STORAGE."),
    ] = None,
) -> None:
    """Write the report of a stored comparison or study: page, figures and tables."""
    from metaopt.comparison.load import has_comparison, load_comparison
    from metaopt.study import load

    name = "metaopt" if "://" in storage else Path(storage).expanduser().with_suffix("")
    out = out or Path(f"{name}-report")
    _check_report("--out", out)
    if study is None and has_comparison(storage):
        page = load_comparison(storage).report(out)
    else:
        opened = load(storage, study)
        try:
            page = opened.report(out)
        finally:
            opened.close()
    typer.echo(f"report: {page}")


@app.command()
def watch(
    storage: Annotated[str, typer.Argument(help="A study file or database URL.")],
    study: Annotated[
        str | None, typer.Option(help="Name of one study; default: all studies.")
    ] = None,
    interval: Annotated[float, typer.Option(min=0.05, help="Seconds between two updates.")] = 1.0,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Total number of trials per study; default: as stored, if known."),
    ] = None,
) -> None:
    """Show the progress of running studies; Ctrl-C stops the display, not the studies."""
    from metaopt.cli.watch import watch as watch_

    watch_(storage, study, interval, trials)


def _check_report(option: str, path: Path) -> None:
    if path.exists() and not path.is_dir() and path.suffix.lower() not in (".html", ".htm"):
        raise MetaoptError(f"{option} {path} is a file; name a folder, or a file ending with .html")


@app.command()
def show(
    storage: Annotated[str, typer.Argument(help="A study file or database URL.")],
    study: Annotated[
        str | None, typer.Option(help="Name of a study, if the file holds several.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Number of best trials to show.")] = 10,
) -> None:
    """Show the state and the best trials of a stored study."""
    from metaopt.storage.opening import find_study

    header = find_study(storage, study)
    store = open_store(storage, create=False)
    trials = Replay(store.open(header.name)).trials
    store.close()
    made = header.header
    typer.echo(
        f"study {header.name}: {made['strategy']}, {made['direction']}, seed {made['seed']},"
        f" created {_when(header.created)}"
    )
    _print_trials(trials, made["direction"], top)


@app.command()
def studies(
    storage: Annotated[str, typer.Argument(help="A study file or database URL.")],
) -> None:
    """List the studies in a file or database."""
    store = open_store(storage, create=False)
    rows = [_study_row(store, header) for header in store.studies()]
    store.close()
    _table(("study", "strategy", "direction", "seed", "trials", "best", "created"), rows)


def _study_row(store: Store, header: StudyHeader) -> tuple[str, ...]:
    trials = Replay(store.open(header.name)).trials
    made = header.header
    best = next((r.value for r in best_first(trials, made["direction"])), None)
    return (
        header.name,
        made["strategy"],
        made["direction"],
        str(made["seed"]),
        str(len(trials)),
        "" if best is None else f"{best:.6g}",
        _when(header.created),
    )


def _print_trials(trials: Sequence[TrialRecord], direction: str, top: int = 5) -> None:
    counts = {
        s: sum(t.status == s for t in trials)
        for s in ("complete", "pruned", "failed", "running", "waiting")
    }
    typer.echo(f"{len(trials)} trials: " + ", ".join(f"{n} {s}" for s, n in counts.items() if n))
    best = best_first(trials, direction)[:top]
    _table(
        ("trial", "value", *(f"{m}" for m in _metrics(best)), "seconds", "configuration"),
        [
            (
                str(t.number),
                f"{t.value:.6g}",
                *(_short(t.metrics.get(m)) for m in _metrics(best)),
                _short(t.seconds),
                ", ".join(f"{k}={_short(v)}" for k, v in t.params.items()),
            )
            for t in best
        ],
    )
    errors = [t for t in trials if t.result is not None and t.result.error is not None]
    for t in errors[:3]:
        assert t.result is not None and t.result.error is not None
        typer.echo(f"trial {t.number} failed ({t.result.error.kind}): {t.result.error.message}")
    if len(errors) > 3:
        typer.echo(f"... and {len(errors) - 3} more failed")


def _metrics(trials: Iterable[TrialRecord]) -> list[str]:
    return ["test"] if any("test" in t.metrics for t in trials) else []


def _short(value: Any) -> str:
    return "" if value is None else brief(value)


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(header):
        table.add_column(column, no_wrap=i == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: brackets in names are not markup
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see the module's docstring for exit codes.

    Args:
        arguments: of the command line, without the program's name; default: those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    code = 0
    try:
        code = app(given, standalone_mode=False, prog_name="metaopt") or 0
    except MetaoptError as error:
        code = _fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        # Usage errors of typer; their class is in different modules in different versions.
        if not hasattr(error, "format_message"):
            raise
        code = _fail(error.format_message(), 2)
    if code == INTERRUPTED:  # typer itself may return this code after Ctrl-C
        stored = any(a.startswith("--storage") for a in given)
        go_on = f"resume with: metaopt {shlex.join(given)}" if stored else "nothing was stored"
        _fail(f"interrupted; {go_on}", code)
    sys.exit(code)


def _fail(message: str, code: int) -> int:
    if message:  # without arguments typer shows the help and raises an empty error
        print(f"metaopt: {' '.join(message.split())}", file=sys.stderr)
    return code
