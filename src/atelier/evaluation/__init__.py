"""Scores what generators make: features of two kinds, and distances between sets.

scikit-learn, SciPy's statistics and the packages of metrics take as long to import as torch. They
are imported where they are called, so that a training, which needs none, does not wait for them.
"""
