"""The commands that are more than a stage, grouped as sub-commands of `atelier`."""
