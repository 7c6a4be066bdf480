"""The corpus of invented policies and the questions people would ask of them, and what must hold for each row.

    python -m engine.writing.corpus show FILE.md     the policy's passages, as the product reads them: spans are taken from here
    python -m engine.writing.corpus check [NAME...]  every fault of the named policies (all of them without a name), then counts

A policy is `NAME.md` under `engine/writing/corpus/`, its questions `NAME.jsonl`, one object a line:

    {"kind": "number", "evidence": the sentence that answers, verbatim, "span": the shortest words in it that answer,
     "question": …, "voice": "curt", "paraphrase": …, "paraphrase_voice": "story"}
    {"kind": "yes_no", "polarity": "no", …the same}
    {"kind": "near_miss", "evidence": the sentence it comes near, "missing": what the policy never says, "question": …, "voice": …}

`evidence` and `span` may hold several lines (a list with its lead-in), each verbatim in a passage.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from engine.documents import read_document
from engine.unanswerable import content_words, stem

FOLDER = Path(__file__).parent / "corpus"
KINDS = ("number", "date", "who", "where", "yes_no", "procedure", "list", "definition", "condition", "reason")
VOICES = ("plain", "curt", "chatty", "first_person", "story", "typo", "wrong_terms")
LEAST_ANSWERABLE, LEAST_NEAR_MISSES, LEAST_YES_NO, LEAST_OF_A_POLARITY = 50, 18, 8, 3
LEAST_OF_A_VOICE, LEAST_KINDS, LARGEST_SHARE_OF_A_KIND = 3, 7, 0.35
LONGEST_COPY = 6
"""Words in a row that a question may not take from its evidence: people who ask have not read the sentence."""
LONGEST_QUESTION, LONGEST_STORY = 32, 70  # words
ALIKE = 0.7  # of the words that two questions use between them


def rows_of(name: str) -> list[dict[str, Any]]:
    """The rows of one policy. Raises ValueError on a line that is not a JSON object."""
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def policies() -> list[str]:
    """The names of all policies, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.md"))


@cache
def passages_of(name: str) -> tuple[str, ...]:
    """The policy's passages as the product's own parser reads them."""
    return tuple(passage.text for passage in read_document(FOLDER / f"{name}.md").passages)


def faults(name: str) -> Iterator[str]:
    """Everything wrong with one policy and its rows, a sentence each."""
    text = " ".join(passages_of(name))
    if not 700 <= len(text.split()) <= 2_600:
        yield f"{name}.md has {len(text.split())} words; a policy has 700 to 2,600."
    rows = rows_of(name)
    said = {stem(word) for word in content_words(text)}
    asked: dict[str, frozenset[str]] = {}
    for number, row in enumerate(rows, 1):
        for fault in (*_row_faults(row, passages_of(name), said), *_repeats(row, asked)):
            yield f"{name}.jsonl:{number}: {fault}"
    yield from (f"{name}.jsonl: {fault}" for fault in _balance_faults(rows))


def _row_faults(row: Mapping[str, Any], passages: Sequence[str], said: set[str]) -> Iterator[str]:
    kind, near_miss = row.get("kind"), row.get("kind") == "near_miss"
    expected = {"kind", "evidence", "question", "voice"}
    expected |= {"missing"} if near_miss else {"span", "paraphrase", "paraphrase_voice"}
    expected |= {"polarity"} if kind == "yes_no" else set()
    if set(row) != expected or not all(isinstance(value, str) and value.strip() for value in row.values()):
        yield f"has the keys {sorted(row)}, not {sorted(expected)}, each a text."
        return
    if kind not in (*KINDS, "near_miss"):
        yield f"kind {kind!r} is none of {', '.join(KINDS)}, near_miss."
    if row.get("polarity", "yes") not in ("yes", "no"):
        yield f"polarity is {row['polarity']!r}, neither yes nor no."
    lines = row["evidence"].split("\n")
    if not all(any(line in passage for passage in passages) for line in lines):
        yield f"a line of the evidence stands in no passage: {row['evidence']!r}."
    if not near_miss and not all(line in row["evidence"] for line in row["span"].split("\n")):
        yield f"the span is not in the evidence: {row['span']!r}."
    if not near_miss and kind != "yes_no" and kind != "list" and len(row["span"].split()) > 30:
        yield "the span is over 30 words: take the words that answer."
    for question, voice in _questions(row):
        yield from _question_faults(question, voice, row)
    if near_miss and not said & {stem(word) for word in content_words(row["question"])}:
        yield "is far from the policy: a near miss uses at least one of its own words."
    if not near_miss and _overlap(_words(row["question"]), _words(row["paraphrase"])) >= ALIKE:
        yield f"the paraphrase is nearly the question: {row['paraphrase']!r}."


def _question_faults(question: str, voice: str, row: Mapping[str, Any]) -> Iterator[str]:
    if voice not in VOICES:
        yield f"voice {voice!r} is none of {', '.join(VOICES)}."
    words = re.findall(r"[\w'’-]+", question.lower())
    if not 2 <= len(words) <= (LONGEST_STORY if voice in ("story", "chatty") else LONGEST_QUESTION):
        yield f"{len(words)} words: {question!r}."
    if row["kind"] not in ("yes_no", "near_miss", "list") and _plain(row["span"]) in _plain(question):
        yield f"the question holds its answer {row['span']!r}: {question!r}."
    evidence = " ".join(re.findall(r"[\w'’-]+", row["evidence"].lower()))
    runs = (" ".join(words[start : start + LONGEST_COPY]) for start in range(len(words) - LONGEST_COPY + 1))
    if copied := next((run for run in runs if run in evidence), ""):
        yield f"copies {copied!r} from the evidence."


def _repeats(row: Mapping[str, Any], asked: dict[str, frozenset[str]]) -> Iterator[str]:
    """Questions nearly asked before under this policy, the row's own paraphrase aside; adds the row's to `asked`."""
    new = {question: _words(question) for question, _ in _questions(row)}
    for question, words in new.items():
        if alike := next((old for old, others in asked.items() if _overlap(words, others) >= 0.8), ""):
            yield f"{question!r} nearly repeats {alike!r}."
    asked |= new


def _balance_faults(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    kinds = Counter(row.get("kind") for row in rows)
    answerable = sum(kinds[kind] for kind in KINDS)
    if answerable < LEAST_ANSWERABLE or kinds["near_miss"] < LEAST_NEAR_MISSES:
        yield f"{answerable} answerable and {kinds['near_miss']} near misses; at least {LEAST_ANSWERABLE} and {LEAST_NEAR_MISSES}."
    polarity = Counter(row["polarity"] for row in rows if row.get("kind") == "yes_no")
    if kinds["yes_no"] < LEAST_YES_NO or min(polarity["yes"], polarity["no"]) < LEAST_OF_A_POLARITY:
        yield f"{polarity['yes']} yes and {polarity['no']} no; at least {LEAST_YES_NO}, {LEAST_OF_A_POLARITY} of each."
    used = [kind for kind in KINDS if kinds[kind]]
    if len(used) < LEAST_KINDS or any(kinds[kind] > LARGEST_SHARE_OF_A_KIND * max(1, answerable) for kind in used):
        yield f"kinds are uneven: {dict(kinds)}."
    voices = Counter(voice for row in rows for _, voice in _questions(row))
    if any(voices[voice] < LEAST_OF_A_VOICE for voice in VOICES) or voices["plain"] > 0.4 * sum(voices.values()):
        yield f"voices are uneven: {dict(voices)}; at least {LEAST_OF_A_VOICE} of each, at most 40 % plain."


def _questions(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = [(row.get("question", ""), row.get("voice", ""))]
    return pairs + ([(row["paraphrase"], row.get("paraphrase_voice", ""))] if row.get("paraphrase") else [])


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9']+", text.lower()))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0


def _plain(text: str) -> str:
    return f" {' '.join(re.findall(r'[a-z0-9]+', text.lower()))} "


def main(arguments: Sequence[str]) -> int:
    """The command. Returns 1 when something is wrong."""
    if arguments[:1] == ["show"] and len(arguments) == 2:
        for passage in read_document(Path(arguments[1])).passages:
            sys.stdout.write(f"[{passage.clause}]\n{passage.text}\n\n")
        return 0
    if arguments[:1] != ["check"]:
        sys.stderr.write(__doc__ or "")
        return 2
    names = [Path(name).stem for name in arguments[1:]] or policies()
    found = 0
    for name in names:
        for fault in faults(name):
            sys.stdout.write(f"{fault}\n")
            found += 1
    rows = [row for name in names for row in rows_of(name)]
    questions = sum(len(_questions(row)) for row in rows if row["kind"] != "near_miss")
    kinds = Counter(row["kind"] for row in rows)
    sys.stdout.write(f"{len(names)} policies, {questions} questions, {dict(kinds.most_common())}, {found} faults\n")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
