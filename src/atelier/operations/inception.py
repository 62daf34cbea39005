"""The extractor `inception`: figures as papers have them, in the features of one InceptionV3.

All of it is torch-fidelity's: the network, which takes pictures as the TensorFlow original did, and
each figure with its usual settings (Obukhov et al. 2020, https://github.com/toshas/torch-fidelity,
Apache-2.0). Its file of weights is not among our packages, so the extractor is there where the file
is. The file is a pickle, which can run anything: its bytes are hashed before they are read.
"""

import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from atelier.bundle.bundle_model import Refused, read_member
from atelier.device import visible
from atelier.errors import UserError
from atelier.evaluation.features import Images

if TYPE_CHECKING:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

INCEPTION = "inception"
DIGEST = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""sha256 of the file of weights, whose name begins with the same digits."""
POOLED, LOGITS = "2048", "logits_unbiased"
"""torch-fidelity's layers for distances, and for the Inception score."""
LEAST = 10
"""Pictures in a set: the Inception score is a mean over as many parts."""
SUBSET = 1000
"""Pictures at most in each of KID's 100 random subsets."""
DISTANCES_AT_ONCE = 2000
"""Rows of the table of all distances that are held."""
SPREAD = "_deviation"
"""What a figure's key ends with where it is the spread of the figure before it."""
FIGURES = {
    "fid": "frechet_inception_distance",
    "kid": "kernel_inception_distance_mean",
    f"kid{SPREAD}": "kernel_inception_distance_std",
    "score": "inception_score_mean",
    f"score{SPREAD}": "inception_score_std",
    "precision": "precision",
    "recall": "recall",
}
"""Ours -> torch-fidelity's."""


@dataclass(frozen=True, eq=False)
class InceptionFeatures:
    """Of one set of pictures."""

    pooled: Tensor
    """float32 [N, 2048]."""
    logits: Tensor
    """float32 [N, 1008], without the layer's bias, as the original has them."""


Advance = Callable[[int], object]
"""Is told how many pictures are done."""


class Inception:
    """InceptionV3 on the GPU if there is one."""

    def __init__(self, weights: Path | None = None) -> None:
        """
        Args:
            weights: the file; None: where torch-fidelity's own download would lie.

        Raises:
            UserError: there is no such file, or it is another; nothing of it has then been read.
        """
        self.network = _network(read_weights(weights or downloaded()))
        self.device = visible()
        self.network.to(self.device)

    @torch.inference_mode()
    def features(self, blocks: Iterable[Images], advance: Advance) -> InceptionFeatures:
        """Of pictures uint8 [b, 3, S, S] at a time; only features are kept."""
        pooled, logits, done = [], [], 0
        for block in blocks:
            found = self.network(torch.from_numpy(block).to(self.device))
            pooled.append(found[0].cpu())
            logits.append(found[1].cpu())
            advance(done := done + len(block))
        return InceptionFeatures(torch.cat(pooled), torch.cat(logits))


def downloaded() -> Path:
    """Where torch-fidelity looks for the weights: torch hub's folder, which TORCH_HOME moves."""
    return Path(torch.hub.get_dir(), "checkpoints", _address().rpartition("/")[2])


def read_weights(path: Path) -> bytes:
    """The file's bytes, once they are known to be the published ones.

    Raises:
        UserError: they are not, or can't be read.
    """
    if not path.exists():
        raise UserError(path, "no such file", f"Download {_address()}, or name it with --weights.")
    try:
        content = read_member(path)
    except Refused as refusal:
        raise UserError(path, refusal.problem) from None
    found = hashlib.sha256(content).hexdigest()
    if found != DIGEST:
        problem = f"not the weights of InceptionV3 (its sha256 is {found}, not {DIGEST})"
        raise UserError(path, problem, f"Nothing of it was loaded. Download {_address()}.")
    return content


def figures(made: InceptionFeatures, reals: InceptionFeatures) -> dict[str, float]:
    """FID, KID, Inception score of what was made, precision and recall, as torch-fidelity has them.

    Its settings are the usual ones but for KID's subsets, which can't be larger than the sets.

    Raises:
        UserError: there are too few pictures.
    """
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    sets = (made.pooled, reals.pooled)
    if (fewest := min(map(len, sets))) < LEAST:
        raise UserError(INCEPTION, f"too few pictures (got {fewest})", f"{LEAST} or more.")
    statistics = map(fid_features_to_statistics, sets)
    found = {
        **isc_features_to_metric(made.logits),
        **fid_statistics_to_metric(*statistics, verbose=False),
        **kid_features_to_metric(*sets, kid_subset_size=subset(*map(len, sets)), verbose=False),
        **prc_features_to_metric(
            *sets, save_cpu_ram=True, prc_batch_size=DISTANCES_AT_ONCE, verbose=False
        ),
    }
    return {ours: float(found[theirs]) for ours, theirs in FIGURES.items()}


def subset(*counts: int) -> int:
    """Pictures in each of KID's subsets, of sets of so many."""
    return min(SUBSET, *counts)


def _address() -> str:
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    return str(URL_INCEPTION_V3)


def _network(weights: bytes) -> "FeatureExtractorInceptionV3":
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # The bytes that were hashed, not the file, which may be another by now.
    return FeatureExtractorInceptionV3(
        "inception-v3-compat", [POOLED, LOGITS], feature_extractor_weights_path=io.BytesIO(weights)
    )
