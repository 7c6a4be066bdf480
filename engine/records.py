"""The nouns of the product, frozen; the word list of the project. Imports nothing of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

REFUSAL = "Not specified in the provided excerpt."
"""The one refusal: "not in the policies this model was trained on" (closed) or "not in these clauses" (grounded)."""

PassageKind = Literal["paragraph", "list_item", "table_row"]
ExampleKind = Literal["answerable", "unanswerable", "statement"]
Split = Literal["train", "probe", "test"]
RowState = Literal["kept", "rejected", "failed"]
JobState = Literal["queued", "running", "done", "stopped", "failed", "died"]
Mode = Literal["closed", "grounded"]
Side = Literal["a", "b"]
Choice = Literal["a", "b", "tie", "both_bad"]
Reason = Literal[
    "correct",
    "grounded",
    "complete",
    "clear",
    "wrong_number",
    "invented",
    "should_have_refused",
    "refused_wrongly",
]
ModelKind = Literal["embedded", "adapter", "ollama", "openai", "transformers"]
Message = Mapping[str, str]
"""A chat message: {"role": "system" | "user" | "assistant", "content": text}."""
Turn = Mapping[str, str]
"""An earlier turn of a battle: {"question", "answer_a", "answer_b"}. Both arms saw the question and their own answer."""


@dataclass(frozen=True)
class Passage:
    """One paragraph, list item or table row of a document, with the headings it stands under."""

    id: str  # of heading path and text, not of the document: an edit elsewhere leaves it as it is
    document_id: str
    position: int  # 0 for the first passage of the document
    heading: tuple[str, ...]  # from the outermost heading to the innermost: ("4 Leave", "4.2 Sick leave")
    page: int | None  # 1 for the first page; None where the format has no pages
    text: str  # whitespace collapsed, markup gone
    start: int  # characters into Document.text; text == document.text[start:end]
    end: int
    kind: PassageKind = "paragraph"
    lead_in: str = ""  # the sentence a list or table hangs on: "You may take bereavement leave for:"

    @property
    def clause(self) -> str:
        """The heading path as shown to people: "4 Leave › 4.2 Sick leave"."""
        return " › ".join(self.heading)


@dataclass(frozen=True)
class Excerpt:
    """What a model is shown of a document at once: a paragraph, or a list or table under the words that introduce it."""

    document_id: str
    heading: tuple[str, ...]
    page: int | None  # where it begins
    text: str  # an item a line, each after "- "
    passages: tuple[str, ...]  # ids of those whose words it holds, whole or in part

    @property
    def clause(self) -> str:
        """The heading path as shown to people: "4 Leave › 4.2 Sick leave"."""
        return " › ".join(self.heading)


@dataclass(frozen=True)
class Document:
    """One parsed file."""

    id: str  # first 16 hex digits of the sha256 of the file's bytes
    name: str  # file name without folders
    media_type: str
    text: str  # the passages' texts joined by newlines
    passages: tuple[Passage, ...]
    page_count: int | None = None
    notes: tuple[str, ...] = ()  # what went otherwise than usual when the file was read, for people; not stored


@dataclass(frozen=True)
class Fact:
    """One thing a policy says, with the words that say it."""

    id: str  # of the clause and the evidence, not of the document: an unchanged clause keeps it in the next edition
    passage_id: str
    clause: str
    kind: str  # number, date, role, yes_no, procedure, list, definition, rule
    statement: str  # a sentence that stands alone; what the model is to know
    evidence: str  # verbatim part of the passage's text
    value: str = ""  # the words a right answer cannot do without: "12 days", "the HR Manager"


@dataclass(frozen=True)
class Example:
    """One proposed row of training or test data."""

    id: str
    fact_id: str  # an unanswerable row has one of its own, so that its paraphrases stay on one side of the split
    kind: ExampleKind
    form: str  # how it was made: "wh", "inversion", "keywords", "statement", "near_miss.audience", "vote", …
    question: str  # "" for a statement
    answer: str
    evidence: str = ""  # verbatim part of the passage's text; "" for an unanswerable row
    passage_id: str = ""
    origin: str = "generated"  # generated, vote:ID, label:ID, "import:FILE:LINE < what the file said"


@dataclass(frozen=True)
class Proposal:
    """What a generator hands over: an example for the gates, or what is left of one that came to nothing, and why."""

    example: Example
    error: str = ""  # a sentence; such a row is "failed" in the ledger


@dataclass(frozen=True)
class LedgerRow:
    """An example and what became of it. proposed = kept + rejected + failed, row by row."""

    example: Example
    state: RowState
    reason: str = ""  # "" when kept
    split: Split | None = None  # None unless kept


@dataclass(frozen=True)
class DatasetVersion:
    """An immutable set of rows and where they came from. "leave:3" is version 3 of the dataset "leave"."""

    id: int
    name: str
    number: int
    task: str
    created_at: str
    parent_id: int | None
    documents: tuple[str, ...]  # ids
    recipe: Mapping[str, Any]  # generator, seed, shares, votes taken in
    counts: Mapping[str, int] = field(default_factory=dict)  # proposed, kept, rejected, failed, train, probe, test

    @property
    def title(self) -> str:
        """How people and commands name it."""
        return f"{self.name}:{self.number}"


@dataclass(frozen=True)
class Decoding:
    """How an answer is drawn. Both arms of a comparison use one."""

    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 0.95
    top_k: int = 40
    repeat_penalty: float = 1.1
    seed: int = 0


@dataclass(frozen=True)
class Reply:
    """What a model said. `error` is a sentence when it said nothing usable."""

    text: str
    model: str
    tokens_out: int = 0
    latency_ms: float = 0.0
    first_token_ms: float = 0.0
    error: str = ""
    tokens_in: int = 0  # of the prompt, as the engine counts them; 0 where it does not say


@dataclass(frozen=True)
class Call:
    """One finished call to a teacher or a judge, as it is kept: paid once."""

    digest: str  # of the model, the messages, the schema and the decoding
    model: str
    prompt: str
    reply: str
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True)
class Adapter:
    """A finished LoRA adapter in the workspace."""

    name: str
    base: str
    folder: str
    digest: str  # sha256 of the safetensors file
    created_at: str
    dataset: str  # "leave:3"
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """A detached process and what its folder says of it."""

    id: str
    kind: str
    title: str
    state: JobState
    folder: str
    created_at: str
    pid: int
    progress: Mapping[str, Any]  # step, steps, loss, eta_s, message, … as the worker last wrote it
    log_tail: Sequence[str] = ()


@dataclass(frozen=True)
class Battle:
    """One question to two models, sides drawn before the first token. The names stay on the server until the vote."""

    id: str
    task: str
    mode: Mode
    question: str
    model_a: str
    model_b: str
    digest_a: str
    digest_b: str
    decoding: Decoding
    created_at: str
    answer_a: str = ""
    answer_b: str = ""
    error: str = ""  # a battle with an error is void and takes no vote
    finished_at: str | None = None
    rater: str = ""  # on whose screen it is; "" for one that anybody may judge
    item: str = ""  # "meeting:7" is question 7 of a review queue, the same for all its raters; "" for a live battle
    mirrors: str = ""  # the rater's battle before it whose sides are turned round here; "" where a coin drew them
    history: tuple[Turn, ...] = ()  # the turns before this question, oldest first
    proof_a: Mapping[str, Any] = field(default_factory=dict)  # digests of what answered, seed and decoding
    proof_b: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[
        str, ...
    ] = ()  # sentences on what may have told the arms apart; never a reason to drop a vote in silence
    skipped_at: str | None = None  # the rater passed it over; it takes no vote


@dataclass(frozen=True)
class Vote:
    """One rater's verdict on one battle. A change of mind is a new row; the last one is current."""

    id: int
    battle_id: str
    rater: str
    choice: Choice
    created_at: str
    comment: str = ""
    repair: str = ""  # the rater's corrected answer
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class ReviewQueue:
    """A fixed list of questions whose answers are frozen in advance, dealt to raters."""

    id: int
    name: str
    task: str
    mode: Mode
    models: tuple[str, str]  # in the order they were named; every rater's sides are drawn
    overlap: int  # how many raters are to judge each question; 0: all of them
    decoding: Decoding
    created_at: str
    counts: Mapping[str, int] = field(default_factory=dict)  # questions, frozen, failed, dealt, voted, skipped

    @property
    def to_judge(self) -> int:
        """Questions whose two answers are there."""
        return self.counts["frozen"] - self.counts["failed"]


@dataclass(frozen=True, order=True)
class Contender:
    """What stands in a ranking: a model as it was when it answered. With another digest or mode it is another contender."""

    model: str
    digest: str = ""
    mode: Mode = "closed"


class Tally(NamedTuple):
    """How the current votes on one pair of contenders fell, for one rater or one question."""

    pair_id: int
    of: str | int  # the rater's name, or the question's id
    longer: int  # by how much the first answer was longer, in tenths of both lengths together; 0 where lengths are not told apart
    first: int
    second: int
    tie: int
    both_bad: int


@dataclass(frozen=True)
class Label:
    """One rater's judgement of one row of a dataset."""

    id: int
    dataset_id: int
    example_id: str
    rater: str
    verdict: Literal["right", "wrong", "should_refuse", "should_not_refuse", "unclear"]
    created_at: str
    gold: str = ""  # the answer as it should be
    question: str = ""  # the question as it should be
    grounded: Literal["yes", "no", ""] = (
        ""  # whether the evidence says what the answer says; "" where that was not asked
    )
    tags: tuple[str, ...] = ()  # free words, in the order they were typed
    seconds: float = 0.0  # from when the row was shown to when it was judged; 0 where that was not measured
    settles: bool = False  # it decides between raters who disagreed
    form: Mapping[str, Any] = field(default_factory=dict)  # the answer by the task's schema, where it has one


@dataclass(frozen=True)
class DeskPlan:
    """How the rows of a dataset version are dealt to raters, and what they are asked to go by. The newest plan holds."""

    dataset_id: int
    raters: int = 0  # how many judge a shared row; 0: everybody judges every row
    shared: float = 1.0  # share of the rows (0 to 1) that so many judge; each other row is judged once
    guidelines: str = ""
    rater: str = ""  # who set it
    created_at: str = ""


@dataclass(frozen=True)
class Question:
    """One row of a question file."""

    id: str
    question: str
    kind: Literal["answerable", "unanswerable"]
    paraphrase: str = ""
    accept: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    slice: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
