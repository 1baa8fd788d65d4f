"""Concepts in files: as they were, and as other programs write them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from spurgekit.diffusion.concepts import Concept, load_concept, save_concept
from spurgekit.diffusion.tokens import TOKEN, token_of
from spurgekit.errors import ModelError


def table(rows=2, width=4):
    return torch.arange(rows * width, dtype=torch.float32).reshape(rows, width)


def test_come_back_as_they_were(tmp_path):
    one = Concept("<leafy_spurge>", (table(),))
    save_concept(one, tmp_path / "t00" / "leafy-spurge.safetensors")
    back = load_concept(tmp_path / "t00" / "leafy-spurge.safetensors")
    assert back.token == one.token
    assert len(back) == 2
    assert torch.equal(back.vectors[0], table())
    assert list(load_file(tmp_path / "t00" / "leafy-spurge.safetensors")) == ["<leafy_spurge>"]


def test_of_sdxl_have_vectors_of_two_widths(tmp_path):
    path = tmp_path / "concept.safetensors"
    save_concept(Concept("<weed>", (table(3, 4), table(3, 6) + 1)), path)
    back = load_concept(path)
    assert back.token == "<weed>"
    assert [rows.shape for rows in back.vectors] == [(3, 4), (3, 6)]
    assert torch.equal(back.vectors[1], table(3, 6) + 1)


def test_the_same_concept_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save_concept(Concept("<weed>", (table(3, 4), table(3, 6))), tmp_path / f"{name}.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_one_vector_as_others_write_it(tmp_path):
    """The example script of diffusers saves rows in what it trained in, others a single one without a table."""
    save_file({"<weed>": torch.ones(4, dtype=torch.float16)}, tmp_path / "learned_embeds.safetensors")
    back = load_concept(tmp_path / "learned_embeds.safetensors")
    assert back.token == "<weed>"
    assert back.vectors[0].shape == (1, 4)
    assert back.vectors[0].dtype == torch.float32


def write(tensors, metadata=None):
    return lambda path: save_file(tensors, path, metadata=metadata)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "weed.safetensors: no such file; learn it with 'spurgekit invert'"),
        (lambda path: torch.save({"<weed>": table()}, path), "is not a safetensors file; pickled embeddings must be converted"),
        (lambda path: path.write_bytes(b""), "is not a safetensors file"),
        (write({"weed": table()}), "'weed' is no token: <name>, without spaces"),
        (write({"<weed>": torch.ones(2, 2, 2)}), "the vectors of <weed> are no tables of one length"),
        (
            write({"clip_l": table(), "clip_g": table(3)}, {"token": "<weed>"}),
            "the vectors of <weed> are no tables of one length",
        ),
        (write({"clip_l": table(), "clip_g": table()}), "holds clip_g, clip_l; a concept is one tensor, or clip_l and clip_g"),
        (write({"<a>": table(), "<b>": table()}, {"token": "<a>"}), "holds <a>, <b>; a concept is one tensor, or clip_l and"),
    ],
)
def test_files_that_are_none(tmp_path, make, message):
    path = tmp_path / "weed.safetensors"
    make(path)
    with pytest.raises(ModelError) as error:
        load_concept(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


class TestTokens:
    @pytest.mark.parametrize(
        ("name", "token"), [("leafy spurge", "<leafy_spurge>"), (" No-Spurge! ", "<no_spurge>"), ("Égílope 2", "<égílope_2>")]
    )
    def test_of_classes(self, name, token):
        assert token_of(name) == token

    @given(st.text(max_size=20))
    def test_of_any_name_is_one_token_or_none(self, name):
        try:
            token = token_of(name)
        except ValueError:
            assert not any(letter.isalnum() for letter in name)
        else:
            assert TOKEN.fullmatch(token)

    @pytest.mark.parametrize("token", ["weed", "<a b>", "<>", "<a><b>", ""])
    def test_that_are_none(self, token):
        with pytest.raises(ValueError, match="is no token: <name>, without spaces"):
            Concept(token, (table(),))

    def test_concepts_without_vectors(self):
        with pytest.raises(ValueError, match="are no tables of one length"):
            Concept("<weed>", ())
