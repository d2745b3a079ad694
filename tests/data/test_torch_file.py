"""Our reader of torch files against torch.load."""

import io
from collections import OrderedDict

import pytest
import torch

from common.data import torch_file

shared = torch.arange(24.0)
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
DTYPES += [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
STATE = OrderedDict(
    {str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in DTYPES},
    part=shared[3:9],
    transposed=shared.reshape(4, 6).T,
    number=torch.tensor(2.5),
    empty=torch.zeros(0, 3),
    parameter=torch.nn.Parameter(torch.ones(2)),
)


@pytest.mark.parametrize("zipped", [True, False])
def test_the_same_as_torch_reads(zipped):
    content = io.BytesIO()
    STATE._metadata = OrderedDict(version=1)  # as a module's state dict has it
    torch.save(STATE, content, _use_new_zipfile_serialization=zipped)
    found = torch_file.load(content.getvalue())
    expected = torch.load(io.BytesIO(content.getvalue()), weights_only=True)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
        assert (found[name].dtype, found[name].stride()) == (tensor.dtype, tensor.stride()), name


def test_a_changed_byte_in_a_weight_is_noticed():
    content = io.BytesIO()
    torch.save({"a": torch.arange(1000.0)}, content)
    data = bytearray(content.getvalue())
    data[data.index(torch.arange(1000.0).numpy().tobytes()) + 2000] ^= 1
    with pytest.raises(Exception, match="Bad CRC"):
        torch_file.load(bytes(data))
