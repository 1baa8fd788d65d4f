import pytest
import torch

from spurgekit.diffusion.compiling import check_compiles, compiled
from spurgekit.errors import InputError


def test_a_compiled_network_says_the_same():
    network = torch.nn.Linear(3, 2)
    ones = torch.ones(4, 3)
    torch.testing.assert_close(compiled(network)(ones), network(ones))


def test_where_nothing_can_be_compiled_with(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    torch._dynamo.reset()
    with pytest.raises(InputError, match=r"torch cannot compile here \(.*no-such-compiler.*\); leave `compile` out"):
        check_compiles(torch.device("cpu"))
