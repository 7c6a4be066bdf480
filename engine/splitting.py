"""Which rows are held out: by fact, by wording, and never close to a row that is trained."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b

from engine.quality import HeldOut
from engine.records import Fact, LedgerRow, Split
from engine.sentences import sentences
from engine.styles import TEMPLATES

TEST_SHARE = 0.05
PROBE_ROWS = 80
WORDINGS_PER_TEST_FACT = 3


def split_of(fact_id: str, *, test_share: float = TEST_SHARE) -> Split:
    """
    "test" for a fixed share of facts, else "train", by the fact's id alone: adding a document never moves a fact across.

    A test fact is not trained in any wording, so a closed-book model cannot know it and ought to say so.
    """
    return "test" if _position(fact_id) < test_share else "train"


def families(facts: Iterable[Fact]) -> dict[str, str]:
    """Fact -> the fact that decides its side: facts that share a sentence stand on one side, or one would teach the other."""
    first: dict[str, str] = {}
    found: dict[str, str] = {}
    for fact in facts:
        lines = (line.rstrip(" .;,:") for line in fact.evidence.splitlines())
        said = [" ".join(sentence.lower().split()).rstrip(".") for line in lines for sentence in sentences(line)]
        known = [first[sentence] for sentence in said if sentence in first]
        found[fact.id] = known[0] if known else fact.id
        first.update((sentence, found[fact.id]) for sentence in said)
    return found


def balanced(rows: Iterable[LedgerRow], *, refusal_share: float) -> list[LedgerRow]:
    """
    The rows with as many unanswerable ones left out as stand above their share of the questions kept.

    Only training rows are left out; which, goes by their ids.
    """
    found = list(rows)
    kept = Counter(row.example.kind for row in found if row.state == "kept")
    above = kept["unanswerable"] - round(kept["answerable"] * refusal_share / (1 - refusal_share))
    trained = (r.example.id for r in found if r.split == "train" and r.example.kind == "unanswerable")
    surplus = set(sorted(trained, key=_position)[: max(0, above)])
    return [
        LedgerRow(row.example, "rejected", "more unanswerable questions than their share")
        if row.example.id in surplus
        else row
        for row in found
    ]


def hold_out(rows: Iterable[LedgerRow], *, beside: Sequence[LedgerRow] = ()) -> list[LedgerRow]:
    """
    Hold out some wordings of trained facts as the probe, then drop training rows too close to anything held out.

    `beside` are rows of the same version that stay as they are: nothing is held out that one of them gives away, and
    nothing trained that gives one of them away.
    """
    return keep_apart(draw_probe(rows, beside=beside), beside=beside)


def draw_probe(rows: Iterable[LedgerRow], *, beside: Sequence[LedgerRow] = ()) -> list[LedgerRow]:
    """
    Hold out some wordings of trained facts as the probe, and ask each test fact in a few wordings only.

    Held-out wordings are natural questions: a template ("What is the rule on …?") would be close to half the training rows.
    """
    standing = HeldOut(row.example.question for row in beside if row.split == "train")
    gated = [_unspoilt(row, standing) for row in _fewer_wordings_of_test_facts(rows)]
    trained = [row for row in gated if row.split == "train" and row.example.kind != "statement"]
    wanted = min(PROBE_ROWS, len(trained) // 10)
    probe: set[str] = set()
    for kind, share in (("answerable", 0.7), ("unanswerable", 0.3)):
        taken: dict[str, str] = {}
        for row in sorted(trained, key=lambda row: _position(row.example.id)):
            example = row.example
            if example.kind == kind and example.form not in TEMPLATES and not standing.near(example.question):
                taken.setdefault(example.fact_id, example.id)
        probe.update(list(taken.values())[: round(share * wanted)])
    return [replace(row, split="probe") if row.example.id in probe else row for row in gated]


def keep_apart(rows: Sequence[LedgerRow], *, beside: Sequence[LedgerRow] = ()) -> list[LedgerRow]:
    """The rows as they are, but that a training row too close to anything held out, here or `beside`, is rejected."""
    held_out = HeldOut(
        row.example.question
        for row in (*rows, *beside)
        if row.split in ("probe", "test") and row.example.kind != "statement"
    )
    return [_apart(row, held_out) for row in rows]


def _unspoilt(row: LedgerRow, standing: HeldOut) -> LedgerRow:
    if row.split == "test" and standing.near(row.example.question):
        return LedgerRow(row.example, "rejected", "too close to a training question, so it cannot be held out")
    return row


def _fewer_wordings_of_test_facts(rows: Iterable[LedgerRow]) -> list[LedgerRow]:
    """A held-out fact is asked in a few natural wordings; the others would only thin out the training rows near them."""
    asked: Counter[str] = Counter()
    found: list[LedgerRow] = []
    for row in rows:
        example = row.example
        if row.split == "test":
            asked[example.fact_id] += example.form not in TEMPLATES
            if example.form in (*TEMPLATES, "statement") or asked[example.fact_id] > WORDINGS_PER_TEST_FACT:
                row = LedgerRow(example, "rejected", "its fact is held out, and asked in other wordings")
        found.append(row)
    return found


def _apart(row: LedgerRow, held_out: HeldOut) -> LedgerRow:
    if row.split == "train" and row.example.question and held_out.near(row.example.question):
        return LedgerRow(row.example, "rejected", "too close to a held-out question")
    return row


def _position(text: str) -> float:
    return int.from_bytes(blake2b(f"v1/{text}".encode(), digest_size=8).digest()) / 2**64
