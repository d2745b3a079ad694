import pytest
import torch

from common.network.dropout import Dropout

CPU = torch.device("cpu")


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.999])
@pytest.mark.parametrize("shape", [(1_000_000,), (999, 1001), (7, 11, 13_001)])
def test_rate_scale_and_independence(rate, shape):
    dropout = Dropout()
    dropout.seed(0, CPU)
    x = torch.ones(shape)
    y = dropout(x, rate, True).flatten()
    n = y.numel()
    assert len(y.unique()) == 2
    assert y.max() == pytest.approx(1 / (1 - rate), rel=0.01 if rate > 0.9 else 1e-4)
    dropped = (y == 0).double()
    sigma = (rate * (1 - rate) / n) ** 0.5
    assert abs(dropped.mean() - rate) < 5 * sigma + 2**-16
    for apart in (1, 2, 3, 4, 8, 16):  # four numbers come from one 64-bit draw
        together = (dropped[apart:] * dropped[:-apart]).mean()
        assert abs(together - rate**2) < 6 * sigma + 2**-15


def test_only_in_training_and_where_there_is_a_rate():
    x = torch.randn(50)
    assert Dropout()(x, 0.5, False) is x
    assert Dropout()(x, 0.0, True) is x


def test_numbers_come_from_its_own_generator():
    x = torch.ones(100)
    one, other = Dropout(), Dropout()
    one.seed(3, CPU)
    other.seed(3, CPU)
    first = one(x, 0.5, True)
    torch.manual_seed(17)
    torch.rand(5)
    assert torch.equal(other(x, 0.5, True), first)
    assert not torch.equal(one(x, 0.5, True), first)
    state = torch.get_rng_state()
    one(x, 0.5, True)
    assert torch.equal(torch.get_rng_state(), state)


def test_gradient_is_the_mask():
    x = torch.randn(1000, requires_grad=True)
    y = Dropout()(x, 0.3, True)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x, y)


def test_whole_vectors_and_a_residual():
    x, residual = torch.randn(2, 1000, 3)
    dropout = Dropout()
    dropout.seed(5, CPU)
    dropped = dropout(x, 0.4, True, vectors=True)
    kept = dropped.abs().sum(1) > 0
    assert 0.5 < kept.double().mean() < 0.7
    torch.testing.assert_close(dropped, torch.where(kept[:, None], x / 0.6, 0.0), rtol=1e-4, atol=0)
    dropout.seed(5, CPU)
    torch.testing.assert_close(dropout(x, 0.4, True, vectors=True, residual=residual), residual + dropped)
    assert torch.equal(dropout(x, 0.4, False, residual=residual), residual + x)
