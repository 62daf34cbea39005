"""What a stranger makes of a translation: a linear probe on features that photographs taught.

A dataset's judge learnt its labels alone, and a translation can satisfy it with little, such as a
few stripes. A linear classifier of fixed features (Alain and Bengio 2016, arXiv 1610.01644) asks
whether a network that knows animals and people sees the goal, too. It neither chooses nor gates.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from atelier.evaluation.features import STATISTICS_ROWS, Extractor, Features, Images, evenly

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

LEAST = 20
"""Training images of each domain, else nothing is said."""
PENALTY = 0.01
"""Inverse strength of the ridge: there are about as many features as images."""
STEPS = 1000


class Probe:
    """Tells domain A from B in one extractor's features; fitted when it is first asked.

    Args:
        of_a, of_b: rows of the training images of each domain.
        training: how many training images there are.
    """

    def __init__(
        self,
        extract: Extractor,
        of_a: npt.NDArray[np.intp],
        of_b: npt.NDArray[np.intp],
        training: int,
    ) -> None:
        # Those whose features standardise: they are known already.
        seen = evenly(np.arange(training), STATISTICS_ROWS)
        self.extract = extract
        self.is_a, self.is_b = np.isin(seen, of_a), np.isin(seen, of_b)

    @property
    def is_sure(self) -> bool:
        """Whether it has seen enough of both to say anything."""
        return min(int(self.is_a.sum()), int(self.is_b.sum())) >= LEAST

    def share(self, images: Images, is_b: bool) -> float:
        """Of images [N, 3, S, S], those that it takes for B, or for A."""
        said = self._model.predict(self.extract(images).astype(np.float64))
        return float((said == is_b).mean())

    @cached_property
    def _model(self) -> "LogisticRegression":
        from sklearn.linear_model import LogisticRegression

        features: Features = self.extract.training
        chosen = self.is_a | self.is_b
        model = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=STEPS)
        return model.fit(features[chosen].astype(np.float64), self.is_b[chosen])
