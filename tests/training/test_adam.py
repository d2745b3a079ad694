"""Our Adam beside PyTorch's fused one, to the last digit."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from common.errors import InputError
from common.training.adam import Adam

ROOT = Path(__file__).resolve().parents[2]
SHAPES = ((300, 7), (128,), (1,), (5, 1))
HOW = {"lr": 1e-2, "weight_decay": 2e-4}
THEIRS = partial(torch.optim.Adam, fused=True, **HOW)
OURS = partial(Adam, **HOW)


def parameters():
    """The same ones with each call."""
    random = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=random)) for shape in SHAPES]


def move(optimizer, moved, steps, without=()):
    """Take the `steps`, numbers, each with gradients of its own; those at `without` get none in step 1."""
    for step in steps:
        optimizer.zero_grad()
        random = torch.Generator().manual_seed(1 + step)
        for index, parameter in enumerate(moved):
            gradient = torch.randn(parameter.shape, generator=random)
            if step != 1 or index not in without:
                parameter.grad = gradient
        optimizer.step()


def equal(some, others):
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


@pytest.mark.parametrize("without", [(), (1,), range(4)], ids=["all", "without one", "without any"])
def test_steps_are_those_of_pytorch(without):
    ours, theirs = parameters(), parameters()
    move(OURS(ours), ours, range(20), without)
    move(THEIRS(theirs), theirs, range(20), without)
    assert not any(map(torch.equal, ours, parameters()))
    assert equal(ours, theirs)


def test_gradients_are_forgotten():
    there = parameters()
    optimizer = OURS(there)
    move(optimizer, there, range(1))
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in there)


@pytest.mark.parametrize("kind", [OURS, THEIRS], ids=["ours", "of PyTorch"])
def test_a_kept_state_goes_on(kind):
    whole, begun = parameters(), parameters()
    move(THEIRS(whole), whole, range(9))
    earlier, later = kind(begun), OURS(begun)
    move(earlier, begun, range(4))
    later.load_state_dict(earlier.state_dict())
    move(later, begun, range(4, 9))
    assert equal(begun, whole)


def test_a_state_without_a_parameter_that_never_moved():
    ours, theirs = parameters(), parameters()
    earlier, later = THEIRS(theirs), OURS(ours)
    move(earlier, theirs, (1,), without=(2,))
    assert len(earlier.state_dict()["state"]) == 3
    move(later, ours, range(5))
    later.load_state_dict(earlier.state_dict())
    with torch.no_grad():
        for a, b in zip(ours, theirs, strict=True):
            a.copy_(b)
    for optimizer, moved in ((earlier, theirs), (later, ours)):
        move(optimizer, moved, range(5, 8))
    assert equal(ours, theirs)


@pytest.mark.parametrize("others", [(*SHAPES, (2,)), ((300, 7), (1,), *SHAPES[2:])], ids=["more", "other shapes"])
def test_a_state_of_other_parameters(others):
    there = [torch.nn.Parameter(torch.zeros(shape)) for shape in others]
    optimizer = OURS(there)
    move(optimizer, there, range(1))
    with pytest.raises(InputError, match=r"parameter [14] does not fit"):
        OURS(parameters()).load_state_dict(optimizer.state_dict())


def test_what_a_graph_replays_lies_beside_the_parameter():
    """Tensors of a CUDA graph must stay where they are, zero before the first step."""
    there = [torch.nn.Parameter(torch.ones(3, device="meta"))]
    (state,) = OURS(there).state.values()
    assert {name: (tensor.device.type, tensor.dtype) for name, tensor in state.items()} == dict.fromkeys(
        ("step", "exp_avg", "exp_avg_sq"), ("meta", torch.float32)
    )
    ours = parameters()
    optimizer = OURS(ours)
    before = [tensor for state in optimizer.state.values() for tensor in state.values()]
    assert not any(tensor.any() for tensor in before)
    move(optimizer, ours, range(2))
    optimizer.load_state_dict(optimizer.state_dict())
    after = [tensor for state in optimizer.state.values() for tensor in state.values()]
    assert all(a is b for a, b in zip(before, after, strict=True))


def test_training_does_without_the_compiler(tmp_path):
    """What takes a second to import, and is of no use in training, is not imported; figures come later."""
    code = """
import sys, torch
from common.settings import TrainingSettings
from common.training.run import train_run
from tests.small import small_corpus
settings = TrainingSettings(epochs=1, hidden_width=8, heads=2, head_width=4, seeds=(1,))
train_run(small_corpus(sizes=(3, 2, 2)), settings, torch.device("cpu"), sys.argv[1], progress=False)
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    heavy = {"torch._dynamo", "torch._inductor", "sympy", "scipy", "sklearn", "matplotlib", "transformers", "joblib"}
    assert not heavy & set(done.stdout.split())
