"""The command `atelier`: thin; parses, calls, prints."""
