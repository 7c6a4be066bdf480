"""Questions that trained one of the two are found, in the very words and in nearly the same; others are not."""

import pytest

from engine.records import Adapter, Example, LedgerRow
from evals.seen import seen_in_training
from tests.arena_votes import cast

TAUGHT = "How many days of annual leave do employees receive a year?"


def version(store, name: str, question: str, split: str = "train"):
    begun = store.begin_dataset(name, task="policy_qa", documents=[], recipe={}, parent_id=None, now="1")
    rows = [LedgerRow(Example(f"{name}-1", "f", "answerable", "wh", question, "25 days."), "kept", "", split)]
    rows += [LedgerRow(Example(f"{name}-2", "f", "statement", "statement", "", "A fact."), "kept", "", "train")]
    store.add_rows(begun.id, rows)
    return store.finish_dataset(begun.id, now="2")


def adapter(name: str, dataset: str, parent: str = "") -> Adapter:
    return Adapter(name, "base", "", "", "1", dataset, {"config": {"parent": parent}})


@pytest.fixture
def found(store):
    """The questions marked after one vote on each, between base and the last adapter."""

    def marked(adapters: list[Adapter], *questions: str) -> list[str]:
        for number, question in enumerate(questions):
            cast(store, f"{number}-{question}", "base", adapters[-1].name, "b", question=question)
        asked = store.asked()
        return [asked[question] for _, question in seen_in_training(store, adapters, "policy_qa").questions]

    return marked


def test_a_training_question_and_its_near_twin_are_marked_and_a_held_out_one_is_not(store, found):
    version(store, "leave", TAUGHT)
    twin = "How many days of annual leave do employees receive per year?"
    assert found([adapter("one", "leave:1")], TAUGHT, twin, "Who approves travel?") == [TAUGHT, twin]


def test_a_held_out_question_of_the_same_version_is_scored(store, found):
    version(store, "leave", TAUGHT, split="probe")
    assert found([adapter("one", "leave:1")], TAUGHT) == []


def test_what_taught_the_adapter_it_goes_on_from_counts_too(store, found):
    version(store, "leave", TAUGHT)
    version(store, "later", "Who approves travel?")
    assert found([adapter("one", "leave:1"), adapter("two", "later:1", parent="one")], TAUGHT) == [TAUGHT]


def test_a_question_marked_for_one_pair_is_scored_for_another(store):
    version(store, "leave", TAUGHT)
    version(store, "later", "Who approves travel?")
    cast(store, 1, "base", "one", "a", question=TAUGHT)
    cast(store, 2, "base", "two", "a", question=TAUGHT)
    seen = seen_in_training(store, [adapter("one", "leave:1"), adapter("two", "later:1")], "policy_qa")
    pairs = {pair: second.model for pair, (_, second) in store.pairs("policy_qa").items()}
    assert [pairs[pair] for pair, _ in seen.questions] == ["one"]


def test_a_model_that_is_gone_is_named_and_other_engines_are_not(store):
    cast(store, 1, "base", "gone", "a")
    cast(store, 2, "ollama:llama3.2", "org/model", "a")
    assert seen_in_training(store, [], "policy_qa").unknown == ("gone",)


def test_an_adapter_whose_dataset_is_not_here_is_named_too(store):
    cast(store, 1, "base", "one", "a")
    assert seen_in_training(store, [adapter("one", "elsewhere:1")], "policy_qa").unknown == ("one",)
