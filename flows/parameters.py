"""The types of the flows' parameters: what the form in Prefect's UI offers and checks."""

from typing import TYPE_CHECKING, Literal

from atelier.params import listed_experiments

if TYPE_CHECKING:
    Experiment = str
else:
    Experiment = Literal[*listed_experiments()]

Scale = Literal["tiny", "laptop", "gpu"]
