"""What training is said to take, against what it was measured to take."""

import re

import pytest
import torch

from common.data import meld
from common.errors import InputError
from common.settings import TrainingSettings
from common.training import memory
from common.training.run import train_run
from tests.small import small_corpus

# GiB that the first step of a training took beyond what was there before it (n = 1, Intel Xeon, one thread)
MEASURED = [
    ([500], {}, 0.252),
    ([1000], {}, 0.655),
    ([1400], {}, 1.251),
    ([2000], {}, 0.9),  # the weights of attention are not kept from here on
    ([2500], {}, 1.093),
    ([5000], {}, 1.884),
    ([1000] * 2, {}, 1.318),
    ([300] * 8, {}, 0.83),
    ([110] * 64, {}, 1.493),
    ([30] * 64, {}, 0.356),
    ([5] * 300, {}, 0.272),
    ([1000] + [20] * 31, {}, 1.971),  # padding
    ([1000] + [20] * 31, {"empty_history": "strict"}, 0.916),
    ([110] * 16, {"layers": 2}, 0.66),
    ([1200], {"hidden_width": 64}, 0.849),
    ([1200], {"heads": 2}, 0.389),
]


@pytest.mark.parametrize(("lengths", "changes", "gib"), MEASURED)
def test_the_formula_meets_what_was_measured(lengths, changes, gib):
    assert memory.step_bytes(lengths, meld.WIDTHS, TrainingSettings(**changes)) / 2**30 == pytest.approx(gib, rel=0.15)


def test_much_memory_is_said_and_too_much_refused_before_anything_is_written(tmp_path, monkeypatch, capsys):
    corpus, cpu = small_corpus(), torch.device("cpu")
    settings = TrainingSettings(hidden_width=8, heads=2, head_width=4, seeds=[1], epochs=1, batch_size=4)
    assert memory.check_memory(corpus, settings, cpu, 1) is None
    monkeypatch.setattr(memory, "MUCH", 1)
    train_run(corpus, settings, cpu, tmp_path / "run", progress=False)
    line = (
        r"Note: IEMOCAP: training takes about 0 GiB of memory for 1 seed\(s\) at a time, as a dialogue has \d turns; s"
    )
    assert re.search(line, capsys.readouterr().err)
    monkeypatch.setattr(memory, "memory", lambda: 1e-9)
    with pytest.raises(InputError, match="this machine has 0 GiB; take smaller batches") as error:
        train_run(corpus, settings, cpu, tmp_path / "other", progress=False)
    assert error.value.change == ["batch_size", "seeds"]
    assert not (tmp_path / "other").exists()
    assert memory.check_memory(corpus, settings, torch.device("cuda"), 1) is None
