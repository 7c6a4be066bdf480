"""Review queues: answered in advance by both models alike, dealt with an overlap, sides drawn for each rater."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine import reviews
from engine.answering import closed_book
from engine.battles import vote
from engine.errors import InvalidInput, NotFound
from engine.tasks.policy_qa import POLICY_QA
from tests.models import EchoModel, FailingModel

QUESTIONS = [f"What is rule {number}?" for number in range(6)]
MODELS = (EchoModel("base", "I do not know."), EchoModel("tuned", "25 days."))


def queue_of(store, name="meeting", questions=QUESTIONS, overlap=2, models=MODELS, frozen=True):
    queue = reviews.add_queue(
        store, name, questions, task=POLICY_QA, models=(models[0].name, models[1].name), overlap=overlap, now="1"
    )
    if frozen:
        assert freeze(store, queue, models)
    return store.queue(name)


def freeze(store, queue, models=MODELS, **options):
    return reviews.freeze(
        store, queue, models, POLICY_QA, find=closed_book, rng=random.Random(0), now=lambda: "2", **options
    )


def judge_all(store, queue, rater, seed=0):
    rng, done = random.Random(f"{rater}{seed}"), []
    while (battle := reviews.deal(store, queue, rater, rng=rng, now="3")) is not None:
        vote(store, battle.id, rater=rater, choice="a", now="4")
        done.append(battle)
    return done


def test_answers_are_frozen_once_with_what_gave_them_and_need_no_model_afterwards(store):
    queue = queue_of(store, overlap=1)
    dealt = judge_all(store, queue, "ann")
    assert sorted(battle.question for battle in dealt) == QUESTIONS
    said = {model.name: model.answer for model in MODELS}
    digests = {model.name: model.digest() for model in MODELS}
    for battle in dealt:
        assert (battle.answer_a, battle.answer_b) == (said[battle.model_a], said[battle.model_b])
        assert (battle.proof_a["model"], battle.digest_b) == (digests[battle.model_a], digests[battle.model_b])
        assert battle.item == f"meeting:{QUESTIONS.index(battle.question) + 1}" and battle.rater == "ann"
    assert reviews.deal(store, queue, "bob", rng=random.Random(0), now="5") is None


def test_each_question_is_judged_by_as_many_raters_as_were_asked_for(store):
    queue = queue_of(store, overlap=2)
    judged = Counter(battle.question for rater in ("ann", "bob", "eve") for battle in judge_all(store, queue, rater))
    assert judged == dict.fromkeys(QUESTIONS, 2)
    everyone = queue_of(store, name="all", overlap=0)
    assert [len(judge_all(store, everyone, rater)) for rater in ("ann", "bob", "eve")] == [6, 6, 6]


def test_raters_who_come_at_once_are_not_dealt_past_the_overlap(store):
    queue = queue_of(store, overlap=2)

    def come(rater):
        return reviews.deal(store, queue, rater, rng=random.Random(rater), now="3").question

    with ThreadPoolExecutor(12) as pool:
        dealt = Counter(pool.map(come, [f"rater {number}" for number in range(12)]))
    assert dealt == dict.fromkeys(QUESTIONS, 2)


def test_what_a_rater_was_dealt_and_left_is_there_at_the_next_visit_and_goes_to_others_only_at_the_end(store):
    queue = queue_of(store, questions=QUESTIONS[:2], overlap=1)
    left = reviews.deal(store, queue, "ann", rng=random.Random(0), now="3")
    assert reviews.deal(store, queue, "ann", rng=random.Random(9), now="4") == left
    other = judge_all(store, queue, "bob")
    assert [battle.question for battle in other][-1] == left.question and len(other) == 2
    assert store.queue_progress(queue) == [
        {"rater": "ann", "dealt": 1, "voted": 0, "skipped": 0},
        {"rater": "bob", "dealt": 2, "voted": 2, "skipped": 0},
    ]


def test_sides_are_balanced_for_each_rater_at_any_moment(store):
    queue = queue_of(store, questions=[f"Rule {n}?" for n in range(15)], overlap=0)
    for rater in ("ann", "bob"):
        balance = 0
        for battle in judge_all(store, queue, rater):
            balance += 1 if battle.model_a == "tuned" else -1
            assert abs(balance) <= 1


def test_a_question_that_either_model_failed_on_is_never_dealt(store):
    class Moody(EchoModel):
        def reply(self, messages, decoding, *, schema=None):
            return (FailingModel(self.name) if "rule 2" in messages[-1]["content"] else super()).reply(
                messages, decoding
            )

    queue = queue_of(store, overlap=1, models=(MODELS[0], Moody("tuned", "25 days.")))
    assert (queue.counts["failed"], queue.to_judge) == (1, 5)
    assert "What is rule 2?" not in [battle.question for battle in judge_all(store, queue, "ann")]
    failed = [item for item in store.frozen_items(queue) if item["error"]]
    assert [(item["question"], item["answer_x"], item["answer_y"]) for item in failed] == [("What is rule 2?", "", "")]


def test_a_freeze_that_was_stopped_goes_on_with_what_is_left(store):
    models = (EchoModel("base", "No."), EchoModel("tuned", "Yes."))
    queue = queue_of(store, questions=[f"Rule {n}?" for n in range(20)], models=models, frozen=False)
    stops = iter([False, True])
    assert not freeze(store, queue, models, stop=lambda: next(stops))
    assert len(models[0].asked) == 8 and reviews.deal(store, queue, "ann", rng=random.Random(0), now="1")
    assert freeze(store, store.queue("meeting"), models)
    assert sorted(models[0].asked) == sorted(models[1].asked) == sorted(f"Rule {n}?" for n in range(20))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"questions": []}, "no question in the list"),
        ({"name": "a/b"}, "cannot be a name"),
        ({"models": (MODELS[0], MODELS[0])}, "two different models"),
        ({"overlap": -1}, "number of raters"),
        ({"questions": ["x" * 2001]}, "2001 characters"),
    ],
)
def test_a_queue_that_cannot_be_is_refused_and_leaves_nothing(store, changed, says):
    with pytest.raises(InvalidInput, match=says):
        queue_of(store, **changed)
    assert store.queues() == []


def test_a_name_is_taken_once_and_an_unknown_one_lists_those_there_are(store):
    queue = queue_of(store)
    with pytest.raises(InvalidInput, match='"meeting" already'):
        queue_of(store)
    with pytest.raises(NotFound, match="There are: meeting"):
        store.queue("other")
    judge_all(store, queue, "ann")
    with pytest.raises(InvalidInput, match="was dealt to raters"):
        reviews.discard(store, queue, [])


def test_questions_come_from_a_list_or_a_file_each_once(tmp_path):
    assert reviews.lines_as_questions(" One? \n\nTwo?\nOne?\n") == ["One?", "Two?"]
    (tmp_path / "q.txt").write_text("One?\nTwo?")
    (tmp_path / "q.jsonl").write_text('{"question": "One\\n more?"}\n{"question": ""}\n')
    assert reviews.file_as_questions(tmp_path / "q.txt") == ["One?", "Two?"]
    assert reviews.file_as_questions(tmp_path / "q.jsonl") == ["One more?"]
    (tmp_path / "q.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match=r"q.bin cannot be read"):
        reviews.file_as_questions(tmp_path / "q.bin")


def test_only_a_job_of_this_kind_names_a_queue(tmp_path):
    with pytest.raises(NotFound, match="holds no review queue"):
        reviews.queue_of(tmp_path)
