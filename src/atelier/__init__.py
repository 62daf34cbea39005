"""Atelier trains, judges and publishes generative image models."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atelier.registry.loading import load as load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """`atelier.load("faces-gan@champion")`; torch is imported when it is called for."""
    if name == "load":
        from atelier.registry.loading import load

        return load
    raise AttributeError(f"module 'atelier' has no attribute {name!r}")
