"""A run on features of a small encoder, which a package holds."""

import pytest

from common.features.choices import Choices
from tests.prediction.made_up import dataset, run_on


@pytest.fixture(scope="session")
def data(minilm, tmp_path_factory):
    """The folder of a dataset of text and event features."""
    return dataset(tmp_path_factory.mktemp("prediction") / "data", Choices(str(minilm), event_model=str(minilm)))


@pytest.fixture(scope="session")
def released(data):
    """A run on it, with the history of the release."""
    return run_on(data, data.parent / "released")


@pytest.fixture(scope="session")
def strict(data):
    """The same with strict history."""
    return run_on(data, data.parent / "strict", empty_history="strict")
