import pytest

from tests.docs.mirrors import mirrors


@pytest.fixture(scope="module")
def mirrored(shared, minilm, tmp_path_factory):
    """The environment for commands that download the texts of MELD and a small encoder, see `mirrors`."""
    with mirrors(shared, minilm, tmp_path_factory.mktemp("hub")) as environment:
        yield environment
