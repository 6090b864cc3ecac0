"""`python -m keras_mtl demo`: strategies side by side on embedded data."""
