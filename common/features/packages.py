"""The optional packages: what a command says where one is missing."""

import importlib
import os
from types import ModuleType

from common.errors import InputError

FEATURES = "pip install -r requirements-features.txt"
OPENSMILE = "pip install -r requirements-opensmile.txt (for non-commercial research: see its licence)"


def package(name: str, install: str = FEATURES) -> ModuleType:
    """The module `name`. Raises InputError, with the line that installs it, where it is missing."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # for what loads models from the hub
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise InputError(f"the package {error.name} is missing; install it: {install}") from None
