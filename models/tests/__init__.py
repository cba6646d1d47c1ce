"""Tests of the pure parts of models/training; `make models` runs them."""
