"""The embedded pictures: faces, horses and zebras, with the same bytes on every processor.

Scenes and how they become files; needs no other room of ours. `data/drawn.py` puts them where
datasets lie, and `scenes.py` says what each dataset consists of.
"""

RENDERER = 1
"""Goes up with a change so rare that the scenes which each call draws again may not show it."""

SEED = 0
