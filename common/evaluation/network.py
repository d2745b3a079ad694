"""A new network for a Corpus."""

from common.data.corpus import Corpus
from common.errors import InputError
from common.network.ecerc import ECERC
from common.settings import NetworkSettings


def build_network(settings: NetworkSettings, corpus: Corpus) -> ECERC:
    """A new ECERC for the widths and classes of `corpus`. Raises InputError where it lacks a modality in use."""
    for name in settings.modalities_in_use:
        if not corpus.widths[name]:
            there = ", ".join(name for name, width in corpus.widths.items() if width)
            raise InputError(f"{corpus.name}: has no {name} features, but {there}; use these", change=["modalities"])
    return ECERC(settings, corpus.widths, len(corpus.classes))
