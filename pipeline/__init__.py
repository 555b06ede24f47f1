"""Train, test and export classifiers that code news sentences."""

__version__ = "0.1.0"
