"""The embedding: used where it is installed, never required; the real model's promises are tested where it is."""

import numpy as np
import pytest

from engine import embedding
from engine.documents import read_bytes
from engine.embedding import Embedding, installed_embedding, lacking
from engine.errors import Unavailable
from engine.excerpts import excerpts_of
from engine.search import Index

TRAVEL = b"""# Travel

## 1 Flights

Flights are booked by the Travel Desk.

## 2 Taxis

Taxis are paid by the company after 22:00.

## 3 Hotels

Hotels may cost at most 120 euros a night.
"""
HERE: dict[str, str] = {}
needs_the_model = pytest.mark.skipif(bool(lacking(HERE)), reason=lacking(HERE))


def index(model: Embedding | None) -> Index[str]:
    excerpts = excerpts_of(read_bytes("travel.md", TRAVEL))
    return Index(((excerpt.clause, excerpt.clause, excerpt.text) for excerpt in excerpts), embedding=model)


def test_it_can_be_switched_off_and_its_absence_is_told():
    assert lacking({"TOUCHSTONE_EMBEDDING": "off"}) == "the embedding is switched off by TOUCHSTONE_EMBEDDING"
    assert installed_embedding({"TOUCHSTONE_EMBEDDING": "OFF"}) is None
    assert lacking(HERE) in ("", "the embedding is not installed (requirements-search.txt)")
    assert (installed_embedding(HERE) is None) == bool(lacking(HERE))


def test_a_package_of_that_name_with_other_weights_is_refused(tmp_path, monkeypatch):
    """A package that is found as any other is, on Python's path."""
    package = tmp_path / embedding.PACKAGE
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('nothing of the package is run')\n")
    (package / "model" / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lacking(HERE) == ""
    with pytest.raises(Unavailable, match="are not those of all-MiniLM-L6-v2"):
        installed_embedding(HERE)


@needs_the_model
def test_what_is_said_in_other_words_is_found():
    model = installed_embedding(HERE)
    question = "Who reimburses my cab late in the evening?"
    assert index(None).best(question, limit=1) == []
    assert index(model).best(question, limit=1) == ["2 Taxis"]


@needs_the_model
def test_a_word_that_only_one_clause_holds_still_counts():
    assert index(installed_embedding(HERE)).best("Travel Desk", limit=1) == ["1 Flights"]


@needs_the_model
def test_vectors_are_those_of_transformers_whatever_stands_beside_a_text():
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, folder = installed_embedding(HERE), embedding._folder()
    texts = ["Who books flights?", "Taxis are paid by the company. " * 9, "long " * 400]
    theirs = AutoModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text, ours in zip(texts, model.vectors(texts), strict=True):
        with torch.inference_mode():
            tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=embedding.LONGEST_TOKENS)
            mean = theirs(**tokens).last_hidden_state[0].mean(0).numpy()
        assert np.abs(ours - mean / np.linalg.norm(mean)).max() < 1e-5


@needs_the_model
def test_an_empty_index_and_an_empty_question_are_no_trouble():
    model = installed_embedding(HERE)
    assert Index([], embedding=model).best("anything") == []
    assert len(index(model).best("", limit=2)) == 2
