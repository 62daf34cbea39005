"""Datasets: drawn or imported, checked, prepared and read."""
