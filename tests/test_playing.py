"""Two arms on one engine: each answer comes from the weights whose name it carries, whatever else goes on beside it."""

import random
from concurrent.futures import ThreadPoolExecutor
from difflib import SequenceMatcher

from engine.battles import open_battle
from engine.playing import play
from engine.records import Decoding
from engine.tasks.policy_qa import POLICY_QA
from tests.models import FailingModel

DECODING = Decoding(max_tokens=6)
QUESTIONS = ("How many days of leave?", "Who approves travel?", "What is sick pay?")


def alike(one: str, other: str) -> float:
    """0 to 1. Not equality: beside other requests an engine rounds otherwise, and a close call of the same weights may tip."""
    return SequenceMatcher(None, one, other).ratio()


def test_eight_battles_at_once_with_cancels_and_failures_never_answer_from_the_wrong_weights(
    store, llama, loud_adapter
):
    base, loud = llama.model("base"), llama.model("loud-1", loud_adapter / "adapter.gguf")
    alone = {
        (model.name, question): model.reply(POLICY_QA.messages(question), DECODING).text.strip()
        for model in (base, loud)
        for question in QUESTIONS
    }
    assert all(alone["base", question] != alone["loud-1", question] for question in QUESTIONS)

    def one(number: int) -> int:
        rng, question = random.Random(number), QUESTIONS[number % 3]
        models = (base, FailingModel("down", words=1) if number % 8 == 7 else loud)
        battle = open_battle(store, POLICY_QA, question, models, rng=rng, now="1", decoding=DECODING)
        playing = play(store, battle, models, POLICY_QA, now="2", rng=rng)
        if number % 8 == 3:
            next(playing)
            playing.close()
            return 0
        *_, last = playing
        saved = store.battle(battle.id)
        if number % 8 == 7:
            assert saved.error and (last.answer_a, last.answer_b) == ("", "")
            return 0
        for name, answer in ((saved.model_a, saved.answer_a), (saved.model_b, saved.answer_b)):
            assert max(("base", "loud-1"), key=lambda arm: alike(answer, alone[arm, question])) == name
        proofs = {saved.model_a: saved.proof_a, saved.model_b: saved.proof_b}
        assert (
            proofs["base"]["base"] == proofs["loud-1"]["base"]
            and proofs["base"]["template"] == proofs["loud-1"]["template"]
        )
        assert proofs["base"]["adapter"] == "" and len(proofs["loud-1"]["adapter"]) == 64
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(16))) == 12
