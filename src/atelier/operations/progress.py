"""Reads the progress that a training prints: `train@faces-gan: 1,600 of 40,000 images …`."""

import re
from dataclasses import dataclass

LINE = re.compile(
    r"^(?P<stage>\S+): (?P<images>[\d,]+) of (?P<planned>[\d,]+) images"
    r"  (?:(?P<speed>[\d,]+) images/s)?  (?P<metrics>.*)$"
)


@dataclass(frozen=True)
class Progress:
    stage: str
    images: int
    planned: int
    images_per_second: int | None
    metrics: str
    """`generator_loss 1.12  discriminator_loss 0.46`."""

    @property
    def percent(self) -> float:
        return 100 * self.images / self.planned

    def __str__(self) -> str:
        speed = f", {self.images_per_second:,} images/s" if self.images_per_second else ""
        return f"{self.stage}: {self.images:,} of {self.planned:,} images{speed}; {self.metrics}"


def read(line: str) -> Progress | None:
    """None for any other line."""
    found = LINE.match(line)
    if not found:
        return None
    speed = found["speed"]
    return Progress(
        stage=found["stage"],
        images=_number(found["images"]),
        planned=_number(found["planned"]),
        images_per_second=_number(speed) if speed else None,
        metrics=found["metrics"],
    )


def _number(text: str) -> int:
    return int(text.replace(",", ""))
