"""The architectures that an experiment can name: one line each.

A model's module has `Config`, `build(config, shape, labels)`, the names of its networks that are
averaged and `PUBLISHED`, and its `TASK`: what it is for, which decides how it is shown, judged,
packed and used.

    numbers         latent [B, L] -> [B, 100] scores
    images          latent [B, L] -> images [B, 3, S, S] in [-1, 1]
    conditional     latent [B, L], attributes [B, K] in [0, 1] -> images
    translation     a2b, b2a: images -> images
    reconstruction  encoder: images -> codes [B, L] (a VAE: means and log-variances, [B, 2 L]);
                    decoder: [B, L] -> images
    classification  images -> logits [B, K]
"""

from types import ModuleType

from atelier.models import autoencoder, cdcgan, cyclegan, dcgan, judge, numbers, seed, vae

MODELS: dict[str, ModuleType] = {
    "numbers": numbers,
    "seed": seed,
    "dcgan": dcgan,
    "cdcgan": cdcgan,
    "cyclegan": cyclegan,
    "autoencoder": autoencoder,
    "vae": vae,
    "judge": judge,
}
