"""The question writer's rules: what is asked for, which drafts are read at all, and what the reader lets through."""

import pytest

from engine.calls import Caller, CallsInMemory
from engine.documents import read_bytes
from engine.facts import facts_of
from engine.writing.prompts import NONE, reader_messages, text_of, writer_messages
from engine.writing.writer import NEAR_MISS, Aim, QuestionWriter, Written, agrees, askable, worth_reading
from tests.models import EchoModel

DOCUMENT = read_bytes(
    "keys.md",
    b"# Keys\n\n## 1 Keys\n\nA lost key costs EUR 30.\n\nTenants must return all keys within 5 days because the locks are shared.\n",
)
COST, RETURN = facts_of([DOCUMENT])
QUESTION = Aim("number", "EUR 30", "curt")
MISS = Aim(NEAR_MISS, NONE, "plain")


def said(fact):
    return text_of("Keys", fact.statement)


class Writer:
    """A QuestionWriter whose two models say what a test lays down, and what they were asked."""

    def __init__(self, drafts: dict[tuple[str, Aim], str], readings: dict[tuple[str, str], str]) -> None:
        wanted = {}
        for (text, aim), draft in drafts.items():
            prompt = writer_messages(text, kind=aim.kind, span=aim.span, voice=aim.voice)
            wanted[prompt[-1]["content"]] = draft
        read = {reader_messages(text, question)[-1]["content"]: answer for (text, question), answer in readings.items()}
        self.writer = EchoModel("writer", "!", wanted)
        self.reader = EchoModel("reader", "another answer", read)
        self.ours = QuestionWriter(Caller(self.writer, CallsInMemory()), Caller(self.reader, CallsInMemory()))

    def kept(self) -> dict[str, list[str]]:
        return {fact.id: [one.question for one in found] for fact, found in self.ours.write([COST, RETURN])}


def aim_of(fact, kind, span=None):
    aims = QuestionWriter(None, None).aims(fact)
    return next(aim for aim in aims if aim.kind == kind and span in (None, aim.span))


def test_a_statement_is_asked_for_its_values_its_signs_and_yes_and_no():
    assert askable(COST) == [("number", "EUR 30"), ("yes_no", "yes"), ("yes_no", "no")]
    kinds = askable(RETURN)
    assert ("number", "5 days") in kinds and ("reason", "") in kinds and ("who", "") not in kinds


def test_the_same_fact_is_always_asked_alike_in_many_voices():
    ours = QuestionWriter(None, None)
    aims = ours.aims(RETURN)
    assert aims == QuestionWriter(None, None).aims(RETURN) != QuestionWriter(None, None, seed=1).aims(RETURN)
    assert len(aims) == 9 and sum(aim.kind == NEAR_MISS for aim in aims) == 2
    assert len({aim.voice for aim in aims}) >= 5


def test_a_question_is_kept_when_the_reader_finds_what_it_was_written_for():
    aim = aim_of(COST, "number")
    question = "price of a new key when mine is lost"
    ours = Writer({(said(COST), aim): question}, {(said(COST), question): "EUR 30"})
    assert ours.kept() == {COST.id: [question], RETURN.id: []}
    elsewhere = Writer({(said(COST), aim): question}, {(said(COST), question): "the locks"})
    assert elsewhere.kept()[COST.id] == []
    nowhere = Writer({(said(COST), aim): question}, {(said(COST), question): NONE})
    assert nowhere.kept()[COST.id] == []


def test_a_near_miss_is_kept_only_when_no_close_text_answers_it():
    aim = aim_of(COST, NEAR_MISS)
    question = "Can I pay for the lost key in cash?"
    silent = {(said(COST), question): NONE, (said(RETURN), question): NONE}
    assert Writer({(said(COST), aim): question}, silent).kept()[COST.id] == [question]
    answered = silent | {(said(RETURN), question): "within 5 days"}
    assert Writer({(said(COST), aim): question}, answered).kept()[COST.id] == []


def test_yes_and_no_must_come_out_as_they_were_meant():
    yes = Written(COST, Aim("yes_no", "yes", "plain"), "Does a lost key cost anything?")
    assert yes.opening == "Yes. " and yes.answered
    assert agrees(yes, "yes: A lost key costs EUR 30") and not agrees(yes, "no: A lost key costs EUR 30")
    assert not agrees(yes, NONE) and not agrees(yes, "EUR 30")
    open_question = Written(COST, Aim("condition", "", "plain"), "When is a key paid for?")
    assert agrees(open_question, "A lost key") and not agrees(open_question, "yes: a lost key")


@pytest.mark.parametrize(
    ("question", "aim", "worth"),
    [
        ("What do I pay for a lost key?", QUESTION, True),
        ("key?", QUESTION, False),
        ("Do I pay EUR 30 for a lost key?", QUESTION, False),
        ("What do I pay for 7 lost keys?", QUESTION, False),
        ("Where is the zebra?", QUESTION, False),
        ("a lost key a lost key a lost key a lost key", QUESTION, False),
        ("Is it 40 euros for a lost key?", Aim("yes_no", "no", "plain"), True),
        ("Is <b>a lost key</b> dear?", QUESTION, False),
    ],
)
def test_what_is_no_question_about_the_text_is_not_read(question, aim, worth):
    assert worth_reading(question, COST, aim) == worth


def test_what_was_written_is_not_asked_again_and_the_recipe_names_both_models():
    ours = Writer({}, {})
    ours.kept()
    asked = len(ours.writer.asked)
    assert asked == len(ours.ours.aims(COST)) + len(ours.ours.aims(RETURN))
    ours.kept()
    assert len(ours.writer.asked) == asked
    assert set(ours.ours.provenance()["writer"]) == {"writer", "reader", "questions"}
