"""Facts -> proposed examples, by a bigger model: it writes the questions, and the document keeps the answers.

The answer of a row is the fact's own statement, with "Yes." or "No." before it where the question asks for it, and never the
teacher's prose. So every wording of a fact has one answer, as in the rows of the embedded generator (a small model learns a fact
from many questions for the same sentence, and two phrasings of one answer are a contradiction to the gates), and nothing
the teacher knows or invents can get into an answer. Its quote only shows which fact it asks for: a quote that does not stand in
the passage goes to the gates as the row's evidence, and they reject it.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import groupby
from typing import Any

from engine.backends import ChatModel
from engine.calls import Answer, Caller, Calls, Estimate, Prompt, estimate, goes_in_circles
from engine.generate import OVERDRAW, REFUSAL_SHARE, STATEMENTS_PER_FACT, refusals, statements_of
from engine.model_json import read_list
from engine.phrasing import Wording
from engine.records import REFUSAL, Decoding, Document, Example, Fact, Passage, Proposal
from engine.teacher_prompts import NEAR_MISS, TEACHER, digest_of, rows_schema, teacher_messages

TOKENS_PER_FACT = 640
ROWS_PER_FACT = 8  # that the prompt asks for, near misses apart
SHORTEST_QUOTE = 3  # words; a shorter one counts when it is the fact's value
ASKS_FOR_A_VALUE = re.compile(
    r"\b(?:how (?:many|much|long|often|soon|early)|when|what (?:percentage|amount|date|number))\b", re.I
)
POLAR = re.compile(
    r"(?:and |so |but |then )?(?:is|are|was|were|am|do|does|did|can|could|may|must|shall|should|will|would|has|have|had|need)\b",
    re.I,
)


@dataclass(frozen=True)
class TeacherSettings:
    """How a teacher is asked. `run` names the version that is made, "leave:3", so that its making can be taken up again."""

    seed: int = 0
    run: str = ""
    facts_per_call: int = 2
    temperature: float = 0.7
    refusal_share: float = REFUSAL_SHARE
    workers: int = 4
    tries: int = 3
    timeout_s: float = 300.0


@dataclass(frozen=True)
class Group:
    """The facts that one call asks for, and the passage that says them."""

    passage: Passage
    facts: tuple[Fact, ...]


@dataclass
class Teacher:
    """
    A Generator. The same seed proposes the same rows in the same order, whatever was asked earlier and is kept in `calls`.

    Raises Unavailable when the model stops answering: what it gave before is kept, and the run can be taken up again.
    """

    model: ChatModel
    calls: Calls
    settings: TeacherSettings = field(default_factory=TeacherSettings)
    caller: Caller = field(init=False)
    counts: Counter[str] = field(init=False, default_factory=Counter)
    """Of the last `propose`: calls, valid (by the schema, before any repair), empty, failed, tokens_in, tokens_out."""

    def __post_init__(self) -> None:
        chosen = self.settings
        self.caller = Caller(
            self.model, self.calls, chosen.run, chosen.workers, chosen.tries, timeout_s=chosen.timeout_s
        )

    @property
    def name(self) -> str:
        """As stored in a dataset's recipe."""
        return f"teacher {self.model.name}"

    def provenance(self) -> Mapping[str, Any]:
        """What a version's recipe says of its teacher: the words it was asked in, and how many of its answers were good JSON."""
        teacher = {
            "model": self.model.name,
            "digest": self.caller.digest,
            "prompt": digest_of(TEACHER, rows_schema(1)),
            "seed": self.settings.seed,
            "temperature": self.settings.temperature,
            "facts_per_call": self.settings.facts_per_call,
            **self.counts,
        }
        return {"teacher": teacher}

    def estimate(
        self, documents: Sequence[Document], facts: Sequence[Fact], *, prices: tuple[float, float] | None = None
    ) -> Estimate:
        """
        What `propose` will take, from two calls that are made now and kept. `prices`: per million tokens read and written.

        Raises Unavailable or NotFound when the teacher does not answer: better now than after an hour.
        """
        return estimate(self.caller, [self._prompt(group) for group in self._groups(documents, facts)], prices=prices)

    def about(self, facts: Sequence[Fact]) -> int:
        """The rows that the prompt asks for, the statements, and the share of refusals on top."""
        return round(len(facts) * (ROWS_PER_FACT / (1 - self.settings.refusal_share) + STATEMENTS_PER_FACT))

    def cancel(self) -> None:
        """Stop within a word, from any thread; `propose` then raises Cancelled."""
        self.caller.cancel()

    def propose(
        self, documents: Sequence[Document], facts: Sequence[Fact], *, rng: random.Random
    ) -> Iterator[Proposal]:
        """
        Passage by passage the statements and the teacher's questions; then refusals by rule, up to the wanted share.

        A call or a row that came to nothing is a failed proposal with its reason. `rng` draws the refusals alone.
        """
        self.counts.clear()
        ids = _Ids()
        asked: list[Wording] = []
        near_misses = 0
        groups = self._groups(documents, facts)
        with closing(self.caller.ask_all(self._prompt(group) for group in groups)) as answers:
            for group, answer in zip(groups, answers, strict=True):
                for fact in group.facts:
                    yield from (Proposal(example) for example in statements_of(fact))
                for proposal in self._proposals(group, answer, ids):
                    example = proposal.example
                    if not proposal.error and example.kind == "answerable":
                        asked.append(Wording(example.form, example.question, example.answer))
                    near_misses += not proposal.error and example.kind == "unanswerable"
                    yield proposal
        share = self.settings.refusal_share
        wanted = round(OVERDRAW * len(asked) * share / (1 - share)) - near_misses
        for example in refusals(documents, facts, asked, wanted=wanted, rng=rng):
            yield Proposal(example)

    def _groups(self, documents: Sequence[Document], facts: Sequence[Fact]) -> list[Group]:
        passages = {passage.id: passage for document in documents for passage in document.passages}
        size = self.settings.facts_per_call
        groups = []
        for passage_id, found in groupby(facts, key=lambda fact: fact.passage_id):
            of_passage = tuple(found)
            groups += [
                Group(passages[passage_id], of_passage[start : start + size])
                for start in range(0, len(of_passage), size)
            ]
        return groups

    def _prompt(self, group: Group) -> Prompt:
        tokens = 120 + TOKENS_PER_FACT * len(group.facts)
        decoding = Decoding(tokens, self.settings.temperature, repeat_penalty=1.0, seed=self.settings.seed)
        return Prompt(teacher_messages(group.passage, group.facts), rows_schema(len(group.facts)), decoding)

    def _proposals(self, group: Group, answer: Answer, ids: "_Ids") -> Iterator[Proposal]:
        self.counts.update(calls=1, tokens_in=answer.tokens_in, tokens_out=answer.tokens_out)
        if answer.error:
            self.counts["failed"] += 1
            yield from (_failed(fact, answer.error, ids) for fact in group.facts)
            return
        reading = read_list(answer.text, "rows", rows_schema(len(group.facts)))
        self.counts.update(valid=reading.valid, empty=reading.valid and not reading.items)
        items, problem = list(reading.items), reading.problem
        if goes_in_circles(answer.text):
            items = [item for place, item in enumerate(items) if item not in items[:place]]
            problem = "It wrote the same again and again and was stopped."
        heard: set[str] = set()
        for row, wrong in items:
            proposal = _failed(group.facts[0], wrong, ids) if wrong else _read(row, group, ids)
            heard.add(proposal.example.fact_id)
            yield proposal
        if problem:
            lost = [fact for fact in group.facts if fact.id not in heard] or [group.facts[-1]]
            yield from (_failed(fact, f"The teacher's answer could not be used whole: {problem}", ids) for fact in lost)


class _Ids:
    """Ids that are the same in every replay; a question proposed twice is two rows."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def of(self, fact_id: str, text: str) -> str:
        key = f"teacher/{fact_id}/{text}"
        self._seen[key] += 1
        return blake2b(f"{key}/{self._seen[key]}".encode(), digest_size=8).hexdigest()


def _read(row: Mapping[str, Any], group: Group, ids: _Ids) -> Proposal:
    """One row that obeys the schema, as a proposal: for the gates, or failed where it names nothing they could check."""
    question, quote = " ".join(row["question"].split()), " ".join(row["quote"].split())
    fact = group.facts[row["fact"] - 1]
    if row["form"] == NEAR_MISS:
        absence = f"none-{fact.id}"  # one group a fact: wordings of one absence stay on one side of the split
        form = f"{NEAR_MISS}.teacher"
        return Proposal(Example(ids.of(absence, question), absence, "unanswerable", form, question, REFUSAL))
    meant = next((other for other in (fact, *group.facts) if quote and quote in other.evidence), fact)
    if len(quote.split()) < SHORTEST_QUOTE and quote != meant.value:
        return _failed(fact, f'The teacher\'s quote "{quote}" is too short to show what it answers from.', ids)
    polar = is_polar(question)
    if row["form"] == "yes_no" and not (polar and row["opening"]):
        return _failed(fact, "The teacher wrote a yes/no row without a yes/no question or without its answer.", ids)
    answer = f"{row['opening']}. {meant.statement}" if polar and row["opening"] else meant.statement
    around = meant.evidence in quote and quote in group.passage.text
    evidence = meant.evidence if quote in meant.evidence or around else quote
    form = "number" if row["form"] in ("direct", "voice") and ASKS_FOR_A_VALUE.search(question) else row["form"]
    return Proposal(
        Example(
            id=ids.of(meant.id, question),
            fact_id=meant.id,
            kind="answerable",
            form=f"{form}.teacher",
            question=question,
            answer=answer,
            evidence=evidence,
            passage_id=group.passage.id,
        )
    )


def _failed(fact: Fact, error: str, ids: _Ids) -> Proposal:
    example = Example(ids.of(fact.id, ""), fact.id, "answerable", "teacher", "", "", passage_id=fact.passage_id)
    return Proposal(example, error)


def is_polar(question: str) -> bool:
    """Whether its last sentence asks for yes or no."""
    last = re.split(r"(?<=[.!?:;])\s+", question.strip())[-1]
    clause = last.rsplit(", ", 1)[-1]
    return bool(POLAR.match(last) or POLAR.match(clause))
