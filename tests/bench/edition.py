"""A new edition of the sample policy, and an update run shorter than a third of the first: what is learned, unlearned, lost.

A workspace with a dataset of the sample policy and an adapter trained on it is copied from TOUCHSTONE_BENCH_WORKSPACE;
without one, both are made first, which takes as long as a balanced training. Every question asked is a wording of the
product's own generator that shares less than 70 % of its words with any training question of either version, and, for
a changed fact, holds no word that only one of its two editions has: nothing in it gives the answer away.
"""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine import jobs
from engine.answering import answer_rows
from engine.documents import read_bytes
from engine.editions import Edition, FactChange
from engine.generation import make_version
from engine.grammar import proper_words
from engine.phrasing import Vocabulary, spoken, vocabulary_of, wordings
from engine.quality import Gates, HeldOut, word_set
from engine.records import REFUSAL, Adapter, DatasetVersion, Document, Example
from engine.samples import MARKDOWN
from engine.settings import Settings
from engine.styles import TEMPLATES
from engine.tasks.policy_qa import POLICY_QA
from engine.training import with_preset
from engine.unanswerable import stem
from engine.updating import update_version, words_of_the_old
from engine.workspace import Workspace
from evals.intervals import share
from evals.metrics import is_refusal, recites, token_f1

ASKED = {"changed": 4, "removed": 6, "unchanged": 4}
"""Held-out questions a fact, at most."""
UNCHANGED = 80
"""Of so many unchanged facts, drawn by chance."""

CHANGES = (
    ("decide requests for annual leave within five working", "decide requests for annual leave within eight working"),
    ("has not been answered within ten working days", "has not been answered within 15 working days"),
    ("changes that are received by the 12th of", "changes that are received by the 9th of"),
    ("Changes received after the 12th", "Changes received after the 9th"),
    ("within 30 calendar days of the payment date", "within 60 calendar days of the payment date"),
    ("| 2 to 4 years | 26 working days", "| 2 to 4 years | 27 working days"),
    ("at least one unbroken period of ten working", "at least one unbroken period of 12 working"),
    ("more than three days is made at least four weeks", "more than three days is made at least six weeks"),
    ("must be taken by 31 March", "must be taken by 30 April"),
    ("requested in PeopleDesk by 15 December", "requested in PeopleDesk by 30 November"),
    ("may buy up to five additional days", "may buy up to seven additional days"),
    ("approved by the site director, not", "approved by the Finance Director, not"),
    ("travel costs of up to EUR 1,500 per", "travel costs of up to EUR 2,000 per"),
    ("The day in lieu is taken within eight weeks", "The day in lieu is taken within 12 weeks"),
    ("by telephone before 09:30", "by telephone before 08:15"),
    ("Maternity leave lasts up to 40 weeks", "Maternity leave lasts up to 44 weeks"),
    ("entitled to six weeks of leave at full", "entitled to eight weeks of leave at full"),
    ("Single parents receive up to 14 days", "Single parents receive up to 16 days"),
    ("| Death of another close relative | 7 working", "| Death of another close relative | 6 working"),
    ("paid study leave of up to eight days", "paid study leave of up to six days"),
    ("The company pays 80 percent of the fees", "The company pays 70 percent of the fees"),
    ("a learning budget of EUR 450", "a learning budget of EUR 520"),
    ("Claims are approved by the line manager", "Claims are approved by the Head of Payroll"),
    ("may use two paid days in each leave year for", "may use three paid days in each leave year for"),
    ("The Community Coordinator keeps the list", "The People Helpdesk keeps the list"),
    ("pays at least 4 percent of basic pay and the company pays 7", "pays at least 5 percent of basic pay and the company pays 9"),
    ("reported to the Safety Officer within", "reported to the Occupational Health Nurse within"),
    ("| Fitness membership | EUR 35 per", "| Fitness membership | EUR 45 per"),
    ("a discount of 30 percent on", "a discount of 20 percent on"),
    ("The standard working week is 37.5 hours", "The standard working week is 38.5 hours"),
    ("Leave records are kept for six years", "Leave records are kept for eight years"),
)  # fmt: skip
"""What the old edition says, and the new one: numbers, dates, deadlines, roles, rows of tables."""
REMOVALS = (
    "Tuesday is an office day for all teams. ",
    "Flu vaccination is offered at every site in October. ",
    " Employees who miss more than four sessions without an excuse lose their place.",
    " Employees in pay grade 9 and above receive time off instead of overtime pay.",
    " Part-time work of less than 15 hours a week is not possible.",
    " Cosmetic surgery is not covered.",
)


def run() -> dict[str, Any]:
    """Update, train on, ask both adapters the same held-out questions; `ours` is the share of changed facts that are right."""
    with tempfile.TemporaryDirectory() as folder:
        workspace, adapter = _first(Path(folder))
        try:
            return _measured(workspace, adapter)
        finally:
            workspace.close()


def new_edition() -> Document:
    """The sample policy with `CHANGES` and `REMOVALS` made; raises where one of them does not stand in it exactly once."""
    text = MARKDOWN.read_text(encoding="utf-8")
    for old, new in (*CHANGES, *((removal, "") for removal in REMOVALS)):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return read_bytes("leave_and_benefits_5.0.md", text.encode())


def questions(edition: Edition, trained: Sequence[Example], *, seed: int = 5) -> list[dict[str, Any]]:
    """
    Rows with the group, the old and the new right answer, about facts that were taught; none close to a trained question.

    `trained`: the training rows of both versions.
    """
    texts = [f"{p.lead_in} {p.text}" for document in edition.documents for p in document.passages]
    vocabulary = vocabulary_of(texts, proper_words(texts))
    gates = Gates((p for document in edition.documents for p in document.passages), edition.facts)
    known, rng = HeldOut(example.question for example in trained), random.Random(seed)
    taught = {example.fact_id for example in trained}
    same = [
        change for change in edition.changes if change.kind == "unchanged" and change.new and change.new.id in taught
    ]
    rest = [change for change in edition.changes if change.kind in ("changed", "removed")]
    found = []
    for change in [*rest, *rng.sample(same, min(UNCHANGED, len(same)))]:
        if not all(fact.id in taught for fact in (change.old, change.new) if fact):
            continue  # held out whole: the model is to refuse it
        taken: list[str] = []
        for question, old, new in _wordings(change, vocabulary, rng):
            near = known.near(question) or HeldOut(taken).near(question)
            if near or gates.reason_against(_as_example(change, question, new)):
                continue
            taken.append(question)
            found.append(
                {
                    "id": f"{change.kind}-{len(found)}",
                    "question": question,
                    "group": change.kind,
                    "old": old,
                    "new": new,
                }
            )
            if len(taken) == ASKED[change.kind]:
                break
    return found


def _wordings(change: FactChange, vocabulary: Vocabulary, rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """(question, old answer, new answer), natural wordings before those that fit any phrase, as people type them."""
    fact = change.new or change.old
    assert fact is not None
    pool = wordings(fact, vocabulary)
    pool += [spoken(wording, rng) for wording in pool for _ in range(4)]
    rng.shuffle(pool)
    pool.sort(key=lambda wording: wording.form in TEMPLATES)
    telling: frozenset[str] = frozenset()
    if change.kind == "changed" and change.old and change.new:
        telling = words_of_the_old(change.old, change.new) | words_of_the_old(change.new, change.old)
    for wording in pool:
        if telling & {stem(word) for word in word_set(wording.question)}:
            continue
        if change.kind == "removed":
            yield wording.question, wording.answer, REFUSAL
        elif change.old and change.new:
            opening = wording.answer.removesuffix(change.new.statement)
            yield wording.question, f"{opening}{change.old.statement}", wording.answer


def _as_example(change: FactChange, question: str, answer: str) -> Example:
    fact = change.new
    if fact is None:
        return Example("", "", "unanswerable", "question", question, answer)
    return Example("", fact.id, "answerable", "question", question, answer, fact.evidence, fact.passage_id)


def _first(folder: Path) -> tuple[Workspace, Adapter]:
    given = os.environ.get("TOUCHSTONE_BENCH_WORKSPACE")
    if given:
        shutil.copytree(given, folder / "workspace")
    settings = Settings.read(workspace=str(folder / "workspace"))
    workspace = Workspace.open(settings)
    if not given:
        document = workspace.add_sample()
        make_version(workspace.store, "policy", [document], task=POLICY_QA, now=workspace.now())
        _wait(workspace.train(with_preset("balanced", adapter="first", dataset="policy:1")))
    return workspace, workspace.adapters()[-1]


def _measured(workspace: Workspace, first: Adapter) -> dict[str, Any]:
    parent = workspace.store.dataset(first.dataset)
    document = new_edition()
    workspace.store.add_document(document, now=workspace.now())
    version, edition = update_version(workspace.store, parent, [document], now=workspace.now())
    config = with_preset("balanced", adapter="updated", dataset=version.title)
    started = time.monotonic()
    _wait(workspace.update(config, first.name))
    minutes = (time.monotonic() - started) / 60
    rows = questions(edition, [*_trained(workspace, parent), *_trained(workspace, version)])
    said = {name: _answers(workspace, name, rows) for name in (first.name, "updated")}
    second = next(adapter for adapter in workspace.adapters() if adapter.name == "updated")
    return report(rows, said[first.name], said["updated"]) | {
        "steps": second.card["steps"],
        "first_steps": first.card["steps"],
        "minutes": round(minutes, 1),
        "facts": edition.counts,
        "rows_of_the_update": version.recipe["update"]["rows"],
        "answers": [{**row, "before": b, "after": a} for row, b, a in zip(rows, *said.values(), strict=True)],
    }


def report(rows: Sequence[dict[str, Any]], before: Sequence[str], after: Sequence[str]) -> dict[str, Any]:
    """Shares with counts and 95 % Wilson intervals, group by group, for both adapters."""

    def counted(hits: Sequence[bool]) -> dict[str, Any]:
        found = share(sum(hits), len(hits))
        return {"share": round(found.value, 3), "said": str(found)}

    groups = {name: [n for n, row in enumerate(rows) if row["group"] == name] for name in ASKED}
    found: dict[str, Any] = {"questions": len(rows)}
    for name, numbers in groups.items():
        found[name] = {
            "before_by_the_old_edition": counted([_is_right(before[n], rows[n]["old"]) for n in numbers]),
            "after_by_the_new_edition": counted([_is_right(after[n], rows[n]["new"]) for n in numbers]),
            "after_still_says_the_old": counted(
                [says_the_old(after[n], rows[n]["old"], rows[n]["new"]) for n in numbers]
            ),
            "after_refuses": counted([is_refusal(after[n]) for n in numbers]),
        }
    same = groups["unchanged"]
    fixed = sum(not _is_right(before[n], rows[n]["new"]) and _is_right(after[n], rows[n]["new"]) for n in same)
    broken = sum(_is_right(before[n], rows[n]["new"]) and not _is_right(after[n], rows[n]["new"]) for n in same)
    ours, peer = (found[name]["after_by_the_new_edition"]["share"] for name in ("changed", "unchanged"))
    return {
        "ours": ours,
        "peer": peer,
        "ratio": round(ours / peer, 2) if peer else None,
        "unit": "share of changed facts right, beside the unchanged",
        **found,
        "unchanged_fixed": fixed,
        "unchanged_broken": broken,
    }


def says_the_old(answer: str, old: str, new: str) -> bool:
    """Whether the answer tells the old edition: every word that only it has, in a sentence that is mostly the old one."""
    if old == new:
        return False
    if new == REFUSAL:
        return token_f1(answer, old) >= 0.6
    return word_set(old) - word_set(new) <= word_set(answer) and token_f1(answer, old) >= 0.6


def _is_right(answer: str, gold: str) -> bool:
    return is_refusal(answer) if gold == REFUSAL else recites(answer, gold)


def _trained(workspace: Workspace, version: DatasetVersion) -> list[Example]:
    return [row.example for row in workspace.store.rows(version.id, split="train") if row.example.question]


def _answers(workspace: Workspace, name: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    return [str(row["answer"]) for row in answer_rows(workspace.model(name), rows, POLICY_QA)]


def _wait(job: Any) -> None:
    while (now := jobs.read_job(Path(job.folder))).state == "running":
        time.sleep(2)
    assert now.state == "done", (now.state, now.progress, now.log_tail)
