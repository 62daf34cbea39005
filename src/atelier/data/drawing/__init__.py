"""The procedural datasets: faces, horses and zebras, byte-identical on every processor."""
