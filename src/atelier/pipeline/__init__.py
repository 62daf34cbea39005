"""The stages of dvc.yaml: how each is run, locked, interrupted and handed to the registry."""
