"""The parts of models/train.py, each a module of its own."""
