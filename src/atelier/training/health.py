"""How a training fares: what its samples and its gradients say before any judge does.

The figures are columns of history.csv, and so curves in MLflow. Signs of illness are told in words;
those that `training.stop_when` names end the training.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from atelier.config import Sign

BEGINS = 0.25
"""Share of a training before which nothing counts: the first pictures of many networks are alike,
and grey."""
LASTING = 3
"""So many figures on end, and it is no accident."""
END = 0.99
"""A value at an end of [-1, 1]: by as much as a byte can't show."""
CHANGE = "change_"
"""How the columns begin that say how much a translator changes its pictures, in the mean."""
NEAR = 0.1
"""Of real images' distance to their nearest: such a pair is one picture twice."""


@dataclass(frozen=True)
class Made:
    """Outputs of a network that is published, and real images of the kind that it should make."""

    network: str
    outputs: Tensor
    """[N, 3, S, S] in [-1, 1]."""
    real: Tensor
    """[M, 3, S, S] in [-1, 1]."""


@dataclass(frozen=True)
class Preview:
    """What a training shows of itself."""

    pictures: Tensor
    """Of a grid: [N, 3, S, S] in [-1, 1]."""
    made: tuple[Made, ...]


@dataclass(frozen=True)
class Limit:
    """When a figure is a sign of illness, and what to say then."""

    figure: str
    value: float
    words: str
    """With the network and the figure to be filled in."""
    remedy: str
    above: bool = True

    def passed(self, value: float) -> bool:
        return not math.isfinite(value) or (
            value > self.value if self.above else value < self.value
        )


MORE_VARIED = "Raise the penalty or the batch, or lower the generator's learning rate."
LIMITS: Mapping[Sign, Limit] = {
    "collapse": Limit(
        "diversity", 0.1, "the pictures of {network} vary {value:.3f} times as much as real ones",
        MORE_VARIED, above=False,
    ),
    "duplicates": Limit(
        "duplicates", 0.5, "{value:.0%} of the pictures of {network} are there twice",
        MORE_VARIED,
    ),
    "saturation": Limit(
        "saturation", 0.3, "{value:.0%} more values of {network} are black or white than real ones",
        "Lower its learning rate.",
    ),
    "standstill": Limit(
        "change_moves", 1e-3,
        "{network} changes each picture alike: its mean change moves by {value:.1g} of itself",
        "Lower the learning rates: what it adds is saturated, and nothing comes back through that.",
        above=False,
    ),
    "exploding": Limit(
        "gradient_norm", 1e4, "the gradients of {network} have a norm of {value:.2g}",
        "Lower the learning rates, or raise the penalty.",
    ),
}  # fmt: skip


def figures(made: Iterable[Made]) -> dict[str, Tensor]:
    """Of each network, as scalars:

    - diversity: mean squared distance of two outputs, over that of two real images;
    - duplicates: share of outputs whose nearest other is nearer than `NEAR` of what is usual
      between real images;
    - saturation: share of values at an end of the range, beyond that of real images.
    """
    found: dict[str, Tensor] = {}
    for one in made:
        outputs, real = one.outputs.float().flatten(1), one.real.float().flatten(1)
        # The mean squared distance of two is twice the variance.
        found[f"{one.network}_diversity"] = outputs.var(0).sum() / real.var(0).sum()
        near = NEAR * _to_nearest(real).mean()
        found[f"{one.network}_duplicates"] = (_to_nearest(outputs) < near).float().mean()
        more = (outputs.abs() > END).float().mean() - (real.abs() > END).float().mean()
        found[f"{one.network}_saturation"] = more.clamp(min=0)
    return found


def _to_nearest(rows: Tensor) -> Tensor:
    """[N, D] -> [N]: Euclidean distances to the nearest other row."""
    distances = torch.cdist(rows, rows)
    return distances.fill_diagonal_(torch.inf).amin(1)


def gradient_norms(optimizers: Mapping[str, Optimizer]) -> dict[str, float]:
    """Of each network: the root mean square of its gradient's norm over its last steps.

    Adam keeps it: its second moments, without their bias (Kingma & Ba 2015, arXiv 1412.6980,
    section 3), look back over about 1 / (1 - beta2) steps. They are saved with a checkpoint.
    """
    found: dict[str, float] = {}
    for name, optimizer in optimizers.items():
        squares = [
            state["exp_avg_sq"].sum() / (1 - group["betas"][1] ** state["step"])
            for group in optimizer.param_groups
            for parameter in group["params"]
            if (state := optimizer.state.get(parameter))
        ]
        if squares:
            found[f"{name}_gradient_norm"] = float(torch.stack(squares).sum().sqrt())
    return found


@dataclass
class Watch:
    """Takes the rows of a history, one by one, and says what begins to look ill.

    It remembers nothing but rows: a training that goes on shows it those from before.
    """

    planned: int
    """Images."""
    changes: dict[str, float] = field(default_factory=dict)
    """Of the last row: how much each translator changed its pictures, in the mean."""
    ill: dict[str, int] = field(default_factory=dict)
    """How often on end each figure has passed its limit."""
    warnings: list[str] = field(default_factory=list)
    signs: set[Sign] = field(default_factory=set)
    """What was seen so far."""

    def see(self, images: int, row: Mapping[str, float]) -> list[str]:
        """The warnings that this row brings."""
        told = {**row, **self._moves(row)}
        if images < BEGINS * self.planned:
            return []
        new: list[str] = []
        for sign, limit in LIMITS.items():
            for column, value in told.items():
                network = column.removesuffix(f"_{limit.figure}")
                if network == column:
                    continue
                self.ill[column] = self.ill.get(column, 0) + 1 if limit.passed(value) else 0
                if self.ill[column] == LASTING:
                    self.signs.add(sign)
                    said = limit.words.format(network=network, value=value)
                    new.append(f"{sign} at {images:,} images: {said}. {limit.remedy}")
        self.warnings += new
        return new

    def _moves(self, row: Mapping[str, float]) -> dict[str, float]:
        """By how much of itself each mean change differs from that of the row before.

        Pictures are drawn anew, so that of a network which looks at them it does: of a sound
        `horse2zebra` by 4 to 5% in the median, and of any three on end once by 2% at least.
        """
        changes = {
            column.removeprefix(CHANGE): value
            for column, value in row.items()
            if column.startswith(CHANGE)
        }
        moves = {
            f"{network}_change_moves": abs(value - before) / before
            for network, value in changes.items()
            if (before := self.changes.get(network))
        }
        self.changes |= changes
        return moves
