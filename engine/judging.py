"""A judge that sees the source, and the exam it has to pass before its word counts.

Nobody believes a judge untested: before it may reject rows it is given 100 rows with planted errors and 100 good ones, of the very
documents it will judge. It gates when it catches 95 % of the ones and rejects at most 5 % of the others; else it
advises: what it doubts is counted in the version's recipe and dropped nowhere.
"""

import random
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import tee
from typing import Any, Protocol

from engine.calls import Caller, Prompt
from engine.generate import EmbeddedGenerator
from engine.model_json import read_object
from engine.planted import KINDS, PLANTED, Case, Sources, plant_errors
from engine.quality import Gates
from engine.records import Decoding, Document, Example, Fact, Passage
from engine.search import passage_index
from engine.styles import TEMPLATES
from engine.teacher_prompts import JUDGE, VERDICT_SCHEMA, digest_of, judge_messages

GOOD = 100
CATCHES_SHARE = 0.95
REJECTS_SHARE = 0.05
REFUSED_SHARE = 0.3  # of the good rows of an exam
FACTS_OF_AN_EXAM = 150
JUDGED_UNFAITHFUL = "judged unfaithful"


@dataclass(frozen=True)
class Verdict:
    """`faithful` is None where the judge said nothing that can be read; `reason` then says so."""

    faithful: bool | None
    reason: str = ""


class Judge(Protocol):
    """Someone who reads source, question and answer."""

    @property
    def name(self) -> str:
        """As stored with the exam."""
        ...

    def verdicts(self, cases: Iterable[Case]) -> Generator[Verdict, None, None]:
        """One each, in order."""
        ...


@dataclass(frozen=True)
class ModelJudge:
    """A chat model as judge; its calls are kept, so that a replay hears the same verdicts and pays nothing."""

    caller: Caller
    max_tokens: int = 120

    @property
    def name(self) -> str:
        return self.caller.model.name

    def verdicts(self, cases: Iterable[Case]) -> Generator[Verdict, None, None]:
        """In order, several asked at once. Raises Unavailable when the model stops answering."""
        with closing(self.caller.ask_all(self._prompt(case) for case in cases)) as answers:
            for answer in answers:
                value, problem = read_object(answer.text, VERDICT_SCHEMA) if not answer.error else (None, answer.error)
                if value is None:
                    yield Verdict(None, problem)
                else:
                    yield Verdict(value["faithful"], " ".join(value["reason"].split())[:200])

    def _prompt(self, case: Case) -> Prompt:
        decoding = Decoding(self.max_tokens, repeat_penalty=1.0)
        return Prompt(judge_messages(case.sources, case.question, case.answer), VERDICT_SCHEMA, decoding)


@dataclass(frozen=True)
class Exam:
    """What a judge did with planted errors and good rows. `by_kind`: kind -> (caught, planted)."""

    judge: str
    caught: int
    planted: int
    wrongly_rejected: int
    good: int
    unreadable: int
    by_kind: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether it may gate. An exam of fewer than 100 errors or 100 good rows proves too little."""
        return not self.shortcoming

    @property
    def shortcoming(self) -> str:
        """ "" when it may gate, else why not."""
        if self.planted < PLANTED or self.good < GOOD:
            return f"the documents gave only {self.planted} errors to plant and {self.good} good rows"
        if self.caught < CATCHES_SHARE * self.planted:
            return f"it caught {self.caught} of {self.planted} planted errors, and {CATCHES_SHARE:.0%} are needed"
        if self.wrongly_rejected > REJECTS_SHARE * self.good:
            return f"it rejected {self.wrongly_rejected} of {self.good} good rows, and {REJECTS_SHARE:.0%} are allowed"
        return ""

    def __str__(self) -> str:
        found = (
            f"The judge {self.judge} caught {self.caught} of {self.planted} planted errors and rejected "
            f"{self.wrongly_rejected} of {self.good} good rows"
        )
        return (
            f"{found}: it may gate." if self.passed else f"{found}: it advises and does not gate ({self.shortcoming})."
        )

    def recipe(self) -> dict[str, Any]:
        """As a version's recipe keeps it."""
        return {
            "judge": self.judge,
            "prompt": digest_of(JUDGE, VERDICT_SCHEMA),
            "caught": self.caught,
            "planted": self.planted,
            "wrongly_rejected": self.wrongly_rejected,
            "good": self.good,
            "unreadable": self.unreadable,
            "by_kind": {kind: list(counts) for kind, counts in self.by_kind.items()},
            "may_gate": self.passed,
        }


@dataclass(frozen=True)
class Paper:
    """The questions of an exam."""

    planted: Sequence[Case]
    good: Sequence[Case]


def set_paper(documents: Sequence[Document], facts: Sequence[Fact], *, seed: int = 0) -> Paper:
    """
    The exam on these documents, the same from the same seed: rows made by rule that pass the gates, half of them spoiled.

    Rows by rule, because their answers are the document's own sentences: the good ones are good for certain.
    """
    rng = random.Random(seed)
    some = rng.sample(list(facts), min(FACTS_OF_AN_EXAM, len(facts)))
    gates = Gates((passage for document in documents for passage in document.passages), facts)
    kept = [
        proposal.example
        for proposal in EmbeddedGenerator().propose(documents, some, rng=rng)
        if proposal.example.form not in ("statement", *TEMPLATES) and not gates.reason_against(proposal.example)
    ]
    sources = sources_in(documents)
    rng.shuffle(kept)
    answered = [example for example in kept if example.kind == "answerable"]
    refused = [example for example in kept if example.kind == "unanswerable" and sources(example)]
    refused = refused[: round(REFUSED_SHARE * GOOD)]
    good = [*refused, *answered[: GOOD - len(refused)]]
    cases = [Case(f"good/{row.id}", sources(row), row.question, row.answer) for row in good]
    return Paper(plant_errors(kept, facts, sources, rng), cases)


def examine(judge: Judge, paper: Paper, *, watch: Callable[[str, int, int], None] = lambda *what: None) -> Exam:
    """
    Give the judge the paper, errors and good rows mixed. `watch` is told what is done, how far, of how many.

    What cannot be read counts neither as caught nor as rejected. Raises what the judge raises when it cannot be asked.
    """
    mixed = sorted([*paper.planted, *paper.good], key=lambda case: digest_of(case.id))
    caught: Counter[str] = Counter()
    rejected = unreadable = 0
    with closing(judge.verdicts(mixed)) as verdicts:
        for done, (case, verdict) in enumerate(zip(mixed, verdicts, strict=True), start=1):
            watch("Examining the judge", done, len(mixed))
            unreadable += verdict.faithful is None
            if verdict.faithful is False:
                caught[case.error] += 1
                rejected += not case.error
    planted = Counter(case.error for case in paper.planted)
    return Exam(
        judge.name,
        sum(caught[kind] for kind in planted),
        len(paper.planted),
        rejected,
        len(paper.good),
        unreadable,
        {kind: (caught[kind], planted[kind]) for kind in KINDS if planted[kind]},
    )


@dataclass
class Bench:
    """A judge with its exam, and what it has said so far. `counts`: judged, doubted, unreadable."""

    judge: Judge
    exam: Exam
    sources: Sources
    counts: Counter[str] = field(default_factory=Counter)

    def provenance(self) -> dict[str, Any]:
        """What a version's recipe says of its judge: the exam, and what came of its word."""
        return {"judge": {**self.exam.recipe(), "rows": dict(self.counts)}}

    def reasons(self, examples: Iterable[Example]) -> Generator[str, None, None]:
        """
        For each row in order "" or "judged unfaithful: …"; always "" when the judge only advises, which is counted.

        Statements are the document's own words and are not judged, nor is a refusal that no passage comes near.
        """
        ours, asked = tee(examples)
        cases = (case for example in asked if (case := self._case(example)))
        with closing(self.judge.verdicts(cases)) as verdicts:
            for example in ours:
                yield self._reason(next(verdicts)) if self._case(example) else ""

    def _reason(self, verdict: Verdict) -> str:
        self.counts["judged"] += 1
        self.counts["unreadable"] += verdict.faithful is None
        self.counts["doubted"] += verdict.faithful is False
        if verdict.faithful is not False or not self.exam.passed:
            return ""
        return f"{JUDGED_UNFAITHFUL}: {verdict.reason or 'no reason given'}"

    def _case(self, example: Example) -> Case | None:
        shown = self.sources(example) if example.kind != "statement" else ()
        return Case(example.id, shown, example.question, example.answer) if shown else None


def sources_in(documents: Sequence[Document]) -> Sources:
    """What to show a judge beside a row of these documents."""
    passages = {passage.id: passage for document in documents for passage in document.passages}
    index = passage_index(documents)

    def sources(example: Example) -> tuple[Passage, ...]:
        if example.passage_id:
            return (passages[example.passage_id],)
        return tuple(index.best(example.question))

    return sources
