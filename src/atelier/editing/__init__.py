"""Selecting characteristics by latent vector: attribute directions, arithmetic, interpolation."""
