"""Atelier trains, judges and publishes generative image models."""
