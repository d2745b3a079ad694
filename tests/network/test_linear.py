import pytest
import torch
import torch.nn.functional as F
from torch.nn import Linear

from common.network import linear as module
from common.network.linear import linear, products


@pytest.fixture(autouse=True, params=["onednn", "pytorch"])
def library(request, monkeypatch):
    """Each test with either library, whatever this processor would choose."""
    monkeypatch.setattr(module, "matrix_library", lambda: request.param)
    return request.param


@pytest.mark.parametrize("rows", [0, 1, 50])
@pytest.mark.parametrize("bias", [False, True])
def test_values_and_gradients_are_those_of_torch(rows, bias):
    torch.manual_seed(0)
    wide = torch.randn(rows, 30, requires_grad=True)
    part = Linear(20, 17, bias=bias)
    inputs = [wide, *part.parameters()]
    upstream = torch.randn(rows, 17)
    for x in (wide[:, :20], wide[:, 5:25]):  # not contiguous
        found, expected = linear(x, part), F.linear(x, part.weight, part.bias)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        ours, theirs = (torch.autograd.grad(y, inputs, upstream) for y in (found, expected))
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_other_precisions_are_left_to_torch():
    x, part = torch.randn(4, 3).double(), Linear(3, 2, bias=False).double()
    torch.testing.assert_close(linear(x, part), x @ part.weight.T, rtol=1e-12, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x.float(), part.float()).dtype == torch.bfloat16


@pytest.mark.parametrize("rows", [0, 1, 50])
def test_a_second_map_after_a_relu_values_and_gradients_are_those_of_torch(rows):
    torch.manual_seed(0)
    x, parts = torch.randn(rows, 20, requires_grad=True), [Linear(20, 30), Linear(30, 17)]
    inputs = [x, *(p for part in parts for p in part.parameters())]
    found = linear(x, parts[0], then=parts[1])
    inner = F.relu(F.linear(x, parts[0].weight, parts[0].bias))
    expected = F.linear(inner, parts[1].weight, parts[1].bias)
    assert rows == 0 or (inner == 0).any()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    upstream = torch.randn(rows, 17)
    ours, theirs = (torch.autograd.grad(y, inputs, upstream) for y in (found, expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(80, 1), (1, 80), (80, 6), (6, 80)])
def test_weights_of_few_rows_or_columns_are_left_to_torch(shape, monkeypatch):
    """oneDNN is slow with these, and with one damages the heap, if only after thousands of products."""
    monkeypatch.setattr(torch.Tensor, "to_mkldnn", None)
    x, part = torch.randn(4, shape[1]), Linear(shape[1], shape[0])
    torch.testing.assert_close(linear(x, part), part(x))
    for inner in (1, 80):  # weights of one column or row in either of the two
        parts = Linear(shape[1], inner), Linear(inner, 1)
        torch.testing.assert_close(linear(x, parts[0], then=parts[1]), parts[1](parts[0](x).relu()))


@pytest.mark.parametrize("bias", [False, True])
def test_several_maps_side_by_side(bias):
    x, parts = torch.randn(5, 20), [Linear(20, n, bias=bias) for n in (9, 12)]
    torch.testing.assert_close(linear(x, *parts), torch.cat([part(x) for part in parts], 1))
    without = torch.cat([x @ part.weight.T for part in parts], 1)
    torch.testing.assert_close(linear(x, *parts, bias=False), without)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_products_of_transposed(scale):
    torch.manual_seed(0)
    x, y = torch.randn(3, 4, 5, requires_grad=True), torch.randn(3, 6, 5, requires_grad=True)
    found, expected = products(x, y, scale), scale * torch.einsum("nak,nbk->nab", x, y)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn(3, 4, 6)
    for ours, theirs in zip(*(torch.autograd.grad(z, (x, y), upstream) for z in (found, expected)), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kinds", [(torch.float32, torch.bfloat16), (torch.bfloat16, torch.float32)])
def test_products_in_bfloat16_have_gradients_of_their_inputs_kinds(kinds):
    x, y = (torch.randn(2, 3, 4).to(kind).requires_grad_() for kind in kinds)
    with torch.autocast("cpu", torch.bfloat16):
        z = products(x, y, 0.5)
    assert z.dtype == torch.bfloat16
    z.float().square().sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == kinds
    exact = 0.5 * x.detach().float() @ y.detach().float().mT
    torch.testing.assert_close(x.grad.float(), exact @ y.detach().float(), rtol=0.05, atol=0.05)


def test_the_chosen_library_multiplies(library, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "to_mkldnn", lambda x: 2 * x)
    monkeypatch.setattr(torch.Tensor, "to_dense", lambda x: x)
    x, part = torch.randn(5, 20), Linear(20, 17, bias=False)
    torch.testing.assert_close(linear(x, part), (2 if library == "onednn" else 1) * part(x))
