"""Prints this machine and the versions of the packages, to be kept beside results."""

import argparse

from common.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(arguments: argparse.Namespace) -> None:
    """Print a line for each."""
    from common.environment import describe

    show("\n".join(f"{name}: {value}" for name, value in describe().items()))
