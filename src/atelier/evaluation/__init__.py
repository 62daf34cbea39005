"""Scores what generators make: features of two kinds, distances between sets, and floors."""
