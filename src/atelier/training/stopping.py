"""Early stopping on a score that should fall: the book's class, with two faults mended."""

import math

from atelier.errors import AtelierError


class EarlyStop:
    """Says when a score has not fallen for `patience` calls.

    As in the book (Liu 2024, 3.5.2), but not-a-number ends the training instead of counting as
    no improvement, and the caller learns when to keep the best weights.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.counter = 0
        self.best_score: float | None = None

    @property
    def improved(self) -> bool:
        """Whether the last call brought the best score so far."""
        return self.best_score is not None and self.counter == 0

    def stop(self, score: float) -> bool:
        """Takes the next score; True when the training should end."""
        if math.isnan(score):
            raise AtelierError("early stopping: the score is not a number; the training diverged.")
        if self.best_score is None or score < self.best_score:
            self.counter = 0
            self.best_score = score
        else:
            self.counter += 1
        return self.counter >= self.patience
