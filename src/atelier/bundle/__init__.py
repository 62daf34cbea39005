"""The folder that is registered: packing it, opening it, using it; and the one file that ships."""
