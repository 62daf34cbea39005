"""Translation between two domains."""
