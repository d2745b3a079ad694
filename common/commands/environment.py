"""Prints this machine and the versions of the packages, to be kept beside results."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(arguments: argparse.Namespace) -> None:
    """Print a line for each."""
    from common.environment import describe

    print("".join(f"{name}: {value}\n" for name, value in describe().items()), end="")
