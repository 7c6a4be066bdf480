"""The index of clauses: those that speak of a question, best first, and of the editions in force alone."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.documents import read_bytes
from engine.generation import make_version
from engine.records import Passage
from engine.search import Index, closest_passage, excerpt_index, finder, passage_index
from engine.tasks.policy_qa import POLICY_QA
from engine.updating import update_version

TRAVEL = b"""# Travel

## 1 Flights

Flights are booked by the Travel Desk at least ten days before the trip.

## 2 Meals

Meals are refunded up to EUR 40 a day.

Alcohol is never refunded. Receipts for meals are kept.

## 3 Alcohol

The site stays dry.
"""


@pytest.fixture(scope="module")
def index() -> Index[Passage]:
    return passage_index([read_bytes("travel.md", TRAVEL)])


def found(index: Index[Passage], question: str, **options: int) -> list[str]:
    return [passage.text.split(".")[0] for passage in index.best(question, **options)]


def test_the_clause_that_speaks_of_the_question_comes_first(index):
    assert found(index, "Who books the flight for my trip?")[0].startswith("Flights are booked")
    assert found(index, "How much can I get refunded for a meal per day?")[0].startswith("Meals are refunded")


def test_a_word_in_the_text_weighs_more_than_one_in_the_heading(index):
    assert found(index, "alcohol") == ["Alcohol is never refunded", "The site stays dry"]


def test_no_more_clauses_than_asked_for_and_none_without_a_shared_word(index):
    assert len(found(index, "flights meals alcohol", limit=2)) == 2
    assert found(index, "sabbatical in Peru") == []


@pytest.mark.parametrize(
    "question", ["", "???", "___", '"; DROP TABLE passages; --', "NEAR(a AND", "* OR *", "é" * 500]
)
def test_no_question_however_odd_breaks_the_search(index, question):
    assert index.best(question) == []
    assert found(index, "Who books flights?") != []


def test_a_very_long_question_is_answered_by_its_first_words(index):
    assert found(index, "flights " + " ".join(f"word{n}" for n in range(5000))) == [
        "Flights are booked by the Travel Desk at least ten days before the trip"
    ]


def test_many_threads_may_search_one_index(index):
    questions = ["flights", "meals refunded", "alcohol", "nothing here"] * 50
    alone = [index.best(question) for question in questions]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(index.best, questions)) == alone


def test_a_word_that_only_introduces_a_list_finds_the_whole_of_it():
    leave = read_bytes(
        "leave.md", b"# L\n\n## 1 Leave\n\nPaid bereavement leave is given for:\n\n- a child;\n- a parent.\n"
    )
    (excerpt,) = excerpt_index([leave]).best("bereavement")
    assert excerpt.text == "Paid bereavement leave is given for:\n- a child;\n- a parent."


def test_closed_book_finds_nothing_and_grounded_finds_clauses(store):
    store.add_document(read_bytes("travel.md", TRAVEL), now="1")
    assert list(finder(store, "closed")("Who books flights?")) == []
    assert "Travel Desk" in finder(store, "grounded")("Who books flights?")[0].text


def test_the_closest_passage_is_one_or_none(store):
    store.add_document(read_bytes("travel.md", TRAVEL), now="1")
    assert closest_passage(store, "You never get refunded for alcohol.").text.startswith("Alcohol is never refunded.")
    assert closest_passage(store, "sabbatical in Peru") is None


def test_what_a_new_edition_replaced_is_found_no_more(store):
    old, new, other = (
        read_bytes(name, text)
        for name, text in (
            ("travel.md", TRAVEL),
            ("travel.md", TRAVEL.replace(b"EUR 40", b"EUR 55")),
            ("pets.md", b"# Pets\n\n## 1 Pets\n\nDogs are refunded never.\n"),
        )
    )
    for document in (old, new, other):
        store.add_document(document, now="1")
    first = make_version(store, "travel", [old], task=POLICY_QA, now="2")
    assert any("EUR 40" in excerpt.text for excerpt in finder(store, "grounded")("refunded a day"))
    update_version(store, first, [new], now="3")
    texts = [excerpt.text for excerpt in finder(store, "grounded")("refunded a day")]
    assert not any("EUR 40" in text for text in texts) and any("EUR 55" in text for text in texts)
    assert any("Dogs" in text for text in texts)  # in no dataset, so nothing replaced it
