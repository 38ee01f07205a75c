"""How much faster do networks train in one batch than one after the other?

Each case trains K small networks by `Trainer.many` and by usual training loops, one network after
the other: with preloaded tensors and PyTorch's fused optimizer ("fused"), with its default
optimizer ("default"), and with a DataLoader and `loss.item()` in every step ("loader"). All of them
build the networks, visit every sample once per epoch and validate after every epoch. The numbers
are ratios of CPU time (loop / Trainer) in one process with one thread, medians of interleaved
repeats. Loops are timed on a few of the networks, and the time is scaled to K.

    python studies/benchmark_training.py [--quick] [--case TEXT] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from metaopt.train import Trainer
from metaopt.train.settings.hyperparameters import Recipe
from metaopt.trials.records import Proposal
from metaopt.trials.trial import Trial

LOOPS = ("fused", "default", "loader")
Goals = tuple[float | None, ...]
Config = dict[str, Any]


# -- usual training loops --------------------------------------------------------------------------


def make_optimizer(network: nn.Module, recipe: Recipe, fused: bool) -> torch.optim.Optimizer:
    weights, lr = network.parameters(), recipe.lr
    faster: dict[str, Any] = {"fused": True} if fused else {}
    betas = (recipe.beta1, recipe.beta2)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(weights, lr, betas, weight_decay=recipe.l2, **faster)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(weights, lr, betas, weight_decay=recipe.weight_decay, **faster)
    if recipe.optimizer == "rmsprop":  # PyTorch has no fused RMSprop
        return torch.optim.RMSprop(weights, lr, recipe.alpha, weight_decay=recipe.l2)
    return torch.optim.SGD(weights, lr, momentum=recipe.momentum, weight_decay=recipe.l2, **faster)


class Loop:
    """One network, its optimizer and the loop over its data; `kind` is one of LOOPS."""

    def __init__(self, network: nn.Module, config: Config, data: Data, kind: str) -> None:
        self.network, self.data, self.kind = network, data, kind
        self.recipe = Recipe.read({k: v for k, v in config.items() if k in RECIPE}, 1)
        self.l1 = self.recipe.l1
        self.optimizer = make_optimizer(network, self.recipe, kind != "default")
        self.done = 0
        if kind == "loader":
            self.optimizer = make_optimizer(network, self.recipe, False)
            train = TensorDataset(data.X, data.y)
            self.loader = DataLoader(train, self.recipe.batch_size, shuffle=True)

    def _step(self, X: Tensor, y: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(self.network(X), y)
        whole = loss
        if self.l1:
            whole = loss + self.l1 * sum(
                p.abs().sum() for p in self.network.parameters() if p.ndim > 1
            )
        whole.backward()
        self.optimizer.step()
        return loss.detach()

    def epoch(self) -> float:
        """Train one epoch, validate, and return the validation loss."""
        self.done += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr_at(self.done)
        self.network.train()
        total: Any = 0.0
        if self.kind == "loader":
            for X, y in self.loader:
                total += self._step(X, y).item()
        else:
            for rows in torch.randperm(len(self.data.y)).split(self.recipe.batch_size):
                total = total + self._step(self.data.X[rows], self.data.y[rows])
            float(total)
        self.network.eval()
        with torch.no_grad():
            outputs = self.network(self.data.X_val)
            return float(nn.functional.cross_entropy(outputs, self.data.y_val))


RECIPE = set(Recipe.__dataclass_fields__)


@dataclass
class Data:
    X: Tensor
    y: Tensor
    X_val: Tensor
    y_val: Tensor


def digits() -> Data:
    X, y = load_digits(return_X_y=True)
    X, y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    train, val = order[:1437], order[1437:]
    return Data(X[train], y[train], X[val], y[val])


def wide_data() -> Data:
    g = torch.Generator().manual_seed(0)
    X = torch.randn(2400, 784, generator=g)
    y = (X @ torch.randn(784, 10, generator=g)).argmax(1)
    return Data(X[:1920], y[:1920], X[1920:], y[1920:])


# -- cases -----------------------------------------------------------------------------------------


@dataclass
class Case:
    """One row of the table.

    Attributes:
        name: of the case.
        k: number of networks.
        goals: the ratio to reach for each of LOOPS; None: not measured.
        ours: trains all networks by `Trainer.many`.
        loop: trains some of the networks by a loop of LOOPS; returns their share of the work.
    """

    name: str
    k: int
    goals: Goals
    ours: Callable[[], object]
    loop: Callable[[str], float]


def perceptron(inputs: int) -> Callable[[Any], nn.Module]:
    def build(config: Any) -> nn.Module:
        width, p = config.get("width", 64), config.get("dropout", 0.0)
        drop = [nn.Dropout(p)] if p else []
        return nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), *drop,
            nn.Linear(width, width), nn.ReLU(), *drop,
            nn.Linear(width, 10),
        )  # fmt: skip

    return build


def normalised(config: Config) -> nn.Module:
    """A perceptron with normalisation layers: more than a chain of dense layers and activations."""
    return nn.Sequential(
        nn.Linear(64, 64), nn.BatchNorm1d(64), nn.GELU(),
        nn.Linear(64, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 10),
    )  # fmt: skip


def convolutional(config: Config) -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip


class Branching(nn.Module):
    """A network that no batched engine can trace: its control flow depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(8, 32, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = x if x.mean() > 0 else -x
        out: Tensor = self.head(self.cells(x.view(-1, 8, 8))[0][:, -1])
        return out


class Recurrent(nn.Module):
    """A recurrent network: its LSTM is one PyTorch operation, called once per member."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(8, 32, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.cells(x.view(-1, 8, 8))[0][:, -1])
        return out


def trials(configs: Sequence[Config], channel: Any = None) -> list[Trial]:
    return [Trial(Proposal(k, c, k), 0, channel) for k, c in enumerate(configs)]


def make_case(
    name: str,
    data: Data,
    build: Callable[[Any], nn.Module],
    configs: Sequence[Config],
    epochs: int,
    goals: Goals,
    sample: int,
) -> Case:
    """Train all configurations for all epochs; the loops train `sample` of them."""
    trainer = Trainer(
        build, data.X, data.y, validation=(data.X_val, data.y_val), test=None, stopping=None,
        epochs=epochs, device="cpu",
    )  # fmt: skip
    chosen = configs[:: max(1, len(configs) // sample)][:sample]

    def ours() -> object:
        return list(trainer.many(trials(configs)))

    def loop(kind: str) -> float:
        for config in chosen:
            one = Loop(build(config), config, data, kind)
            for _ in range(epochs):
                one.epoch()
        return len(chosen) / len(configs)

    return Case(name, len(configs), goals, ours, loop)


def fold_case(data: Data, configs: Sequence[Config], epochs: int, goals: Goals) -> Case:
    """Five-fold cross-validation; the loops train two folds of the first configuration."""
    build = perceptron(64)
    folds = KFold(5, shuffle=True, random_state=0)
    trainer = Trainer(
        build, data.X, data.y, validation=folds, test=None, stopping=None, epochs=epochs,
        device="cpu",
    )  # fmt: skip
    parts = [
        Data(data.X[a], data.y[a], data.X[b], data.y[b])
        for a, b in folds.split(data.X.numpy(), data.y.numpy())
    ]

    def ours() -> object:
        return list(trainer.many(trials(configs)))

    def loop(kind: str) -> float:
        for part in parts[:2]:
            one = Loop(build(configs[0]), configs[0], part, kind)
            for _ in range(epochs):
                one.epoch()
        return 2 / (5 * len(configs))

    return Case("5-fold cross-validation", 5 * len(configs), goals, ours, loop)


class Halving:
    """A monitor that keeps the best third at epochs 1, 3 and 9: synchronous successive halving."""

    def __init__(self) -> None:
        self.at: dict[float, dict[int, float]] = {}

    def reported(self, number: int, value: float, step: float) -> None:
        self.at.setdefault(step, {})[number] = value

    def should_stop(self, number: int) -> bool:
        step = max(self.at)
        if step not in (1, 3, 9):
            return False
        ranked = sorted(self.at[step], key=lambda k: self.at[step][k])
        return number not in ranked[: len(ranked) // 3]


def halving_case(data: Data, configs: Sequence[Config], goals: Goals) -> Case:
    build = perceptron(64)
    trainer = Trainer(
        build, data.X, data.y, validation=(data.X_val, data.y_val), test=None, stopping=None,
        epochs=27, device="cpu",
    )  # fmt: skip

    def ours() -> object:
        return list(trainer.many(trials(configs, Halving())))

    def loop(kind: str) -> float:
        alive = [(0.0, k, Loop(build(c), c, data, kind)) for k, c in enumerate(configs)]
        for rung, before in ((1, 0), (3, 1), (9, 3), (27, 9)):
            scored = [(min(x.epoch() for _ in range(rung - before)), k, x) for _, k, x in alive]
            alive = sorted(scored, key=lambda s: s[:2])[: max(1, len(scored) // 3)]
        return 1.0

    return Case("successive halving 64 > 21 > 7 > 2", len(configs), goals, ours, loop)


def adams(k: int, **fixed: Any) -> list[Config]:
    rates = np.geomspace(1e-4, 1e-2, k) if k > 1 else [1e-3]
    return [{"optimizer": "adam", "lr": float(lr), **fixed} for lr in rates]


def random_configs(k: int) -> list[Config]:
    rng = np.random.default_rng(0)
    kinds = ("sgd", "adam", "adamw", "rmsprop")
    schedules = ("constant", "exponential", "cosine")
    return [
        {
            "optimizer": kinds[n % 4],
            "lr": float(10 ** rng.uniform(-4, -2)),
            "schedule": schedules[n % 3],
            "momentum": float(rng.uniform(0.1, 0.9)) if n % 4 == 0 else 0.0,
            "l1": float(10 ** rng.uniform(-7, -4)),
            "l2": float(10 ** rng.uniform(-7, -3)),
            "dropout": float(rng.uniform(0.05, 0.5)),
            "epochs": 9,
        }
        for n in range(k)
    ]


def all_cases(quick: bool) -> list[Case]:
    small, wide = digits(), wide_data()
    e, s = (3, 2) if quick else (10, 2)
    mixed = random_configs(64)
    return [
        make_case("digits, width 32, batch 32", small, perceptron(64),
                  adams(64, width=32), e, (10, 15, 18), s),
        make_case("digits, width 64, batch 32", small, perceptron(64),
                  adams(16, width=64), e, (7, 10, 12), s),
        make_case("digits, width 64, batch 128", small, perceptron(64),
                  adams(16, width=64, batch_size=128), 2 * e, (3.5, 5, 8), s),
        make_case("784 inputs, width 64, batch 32", wide, perceptron(784),
                  adams(16, width=64), e, (3.5, 5, 5), s),
        make_case("784 inputs, width 256, batch 128", wide, perceptron(784),
                  adams(16, width=256, batch_size=128), e, (1.3, 1.8, 2), s),
        make_case("64 random configurations", small, perceptron(64),
                  mixed, 9, (5, 6, 8), 4 if quick else 12),
        fold_case(small, adams(16, width=64), e, (4, 6, 8)),
        halving_case(small, [{**c, "epochs": 27} for c in mixed], (3.5, None, None)),
        make_case("a supported module alone", small, perceptron(64),
                  adams(1), 3 * e, (1.3, 2, 2), 1),
        make_case("batch and layer normalisation", small, normalised, adams(16), 5, (4, 6, 8), s),
        make_case("convolutions of 8x8 pixels", small, convolutional, adams(16), 5, (2, 2, 2), s),
        make_case("a recurrent module alone", small, lambda c: Recurrent(),
                  adams(1), e, (0.95, 0.95, None), 1),
        make_case("a module that cannot be vectorised", small, lambda c: Branching(),
                  adams(1), e, (0.95, 0.95, None), 1),
    ]  # fmt: skip


# -- measuring -------------------------------------------------------------------------------------


def cpu_seconds(work: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def measure(case: Case, repeats: int) -> dict[str, Any]:
    """Return the row of one case: ratios of medians over interleaved repeats."""
    kinds = [kind for kind, goal in zip(LOOPS, case.goals, strict=True) if goal is not None]
    ours: list[float] = []
    theirs: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(repeats + 1):
        seconds, _ = cpu_seconds(case.ours)
        for kind in kinds:
            spent, part = cpu_seconds(lambda kind=kind: case.loop(kind))
            if turn:  # the first turn is a warm-up
                theirs[kind].append(spent / float(part))  # type: ignore[arg-type]
        if turn:
            ours.append(seconds)
    row: dict[str, Any] = {"case": case.name, "k": case.k}
    for kind in LOOPS:
        ratio = statistics.median(theirs[kind]) / statistics.median(ours) if kind in kinds else None
        row[f"ratio_{kind}"] = None if ratio is None else round(ratio, 2)
    return {**row, "goal": case.goals[0], "seconds": round(statistics.median(ours), 4)}


def show(row: dict[str, Any], goals: Goals) -> None:
    cells = []
    for kind, goal in zip(LOOPS, goals, strict=True):
        ratio = row[f"ratio_{kind}"]
        missed = goal is not None and ratio is not None and ratio < goal
        cells.append("-" if ratio is None else f"{ratio:.2f} ({goal:g}){'!' if missed else ' '}")
    print(f"{row['case']:38} {row['k']:4}  " + "  ".join(f"{c:>14}" for c in cells), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer epochs and repeats")
    parser.add_argument("--case", default="", help="run only cases whose name contains this text")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'case':38} {'K':>4}  " + "  ".join(f"{x + ' (goal)':>14}" for x in LOOPS))
    rows = []
    for case in all_cases(given.quick):
        if given.case in case.name:
            rows.append(measure(case, 2 if given.quick else 5))
            show(rows[-1], case.goals)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
