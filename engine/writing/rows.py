"""The corpus as training rows for two adapters of the embedded model, the question writer and the reader, and their training.

    python -m engine.writing.rows writer --workspace DIR     starts the training; `app.py jobs` watches it
    python -m engine.writing.rows reader --workspace DIR
    python -m engine.writing.rows ship --workspace DIR       takes a finished one of DIR into the product, in F16

Policies are held out whole (`held_out`), so that what is measured is a policy nobody trained on.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from engine.documents import read_document
from engine.embedded import ensure_embedded
from engine.phrasing import topic_of
from engine.sentences import sentences
from engine.settings import Settings, go_quiet
from engine.unanswerable import stems_of
from engine.writing import READER_ADAPTER, WRITER_ADAPTER
from engine.writing.corpus import FOLDER, policies, rows_of
from engine.writing.prompts import NONE, reader_messages, reading, text_of, writer_messages

Role = Literal["writer", "reader"]
SPAN_SHOWN = 0.7
"""Share of the writer's rows that name the answer's words; the others leave the choice to the writer."""
STRANGE_TEXTS = 0.6
"""For each answerable question, so many readings of another text of its policy, one of the closest, that does not answer it."""
WHOLE_PASSAGES = 0.4
"""Share of the reader's texts that are whole passages; the others are the sentence alone."""
HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Asked:
    """One question of the corpus, and the text it is about."""

    policy: str
    text: str  # the sentence, under its clause
    passage: str  # all of the passage it stands in, or the text again where it goes on over several
    kind: str
    voice: str
    question: str
    span: str  # "" for a near miss
    polarity: str  # "yes", "no", or ""


def held_out(policy: str) -> bool:
    """Whether a policy of the corpus is only measured on, by its name alone."""
    digest = blake2b(f"corpus/{policy}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64 < HELD_OUT_SHARE


def asked(policy: str) -> Iterator[Asked]:
    """Every question of one policy, paraphrases as questions of their own."""
    texts = _texts(policy)
    for row in rows_of(policy):
        first, *more = row["evidence"].split("\n")
        topic, whole = next(((topic, text) for topic, text in texts if first in text), ("", first))
        text = text_of(topic, row["evidence"].replace("\n", " "))
        passage = text if more else text_of(topic, whole)
        pairs = [(row["question"], row["voice"])]
        pairs += [(row["paraphrase"], row["paraphrase_voice"])] if "paraphrase" in row else []
        for question, voice in pairs:
            yield Asked(
                policy, text, passage, row["kind"], voice, question, row.get("span", ""), row.get("polarity", "")
            )


def writer_rows(names: Sequence[str], *, seed: int = 0) -> list[dict[str, Any]]:
    """Rows in the trainer's format, shuffled: text, kind and voice -> question."""
    rng = random.Random(seed)
    rows = [_row(_writing(found, rng), found.question) for name in names for found in asked(name)]
    rng.shuffle(rows)
    return _numbered(rows)


def reader_rows(names: Sequence[str], *, seed: int = 0) -> list[dict[str, Any]]:
    """Rows in the trainer's format, shuffled: text and question -> the words that answer, or NONE."""
    rng = random.Random(seed)
    rows = []
    for name in names:
        for found in asked(name):
            target = reading(found.span, found.polarity) if found.span else NONE
            text = found.passage if rng.random() < WHOLE_PASSAGES else found.text
            rows.append(_row(reader_messages(text, found.question), target))
            if found.span and rng.random() < STRANGE_TEXTS:
                strange = _strange_text(found, rng)
                rows.append(_row(reader_messages(strange, found.question), NONE))
    rng.shuffle(rows)
    return _numbered(rows)


def _writing(found: Asked, rng: random.Random) -> list[Mapping[str, str]]:
    if not found.span:
        span = NONE
    elif found.polarity:
        span = found.polarity
    else:
        span = " ".join(found.span.split()) if rng.random() < SPAN_SHOWN and len(found.span.split()) <= 12 else ""
    return writer_messages(found.text, kind=found.kind, span=span, voice=found.voice)


def _strange_text(found: Asked, rng: random.Random) -> str:
    """One of the five texts of the same policy that share most words with the question, its own passage aside."""
    wanted, own = stems_of(found.question), stems_of(found.text)
    whole = rng.random() < WHOLE_PASSAGES
    apart = [
        (topic, text) for topic, text in _texts(found.policy) if len(stems_of(f"{topic} {text}") & own) < 0.5 * len(own)
    ]
    said = [text_of(topic, part) for topic, text in apart for part in ([text] if whole else sentences(text))]
    return rng.choice(sorted(said, key=lambda text: -len(stems_of(text) & wanted))[:5])


@cache
def _texts(policy: str) -> tuple[tuple[str, str], ...]:
    """(topic, text) of every passage."""
    return tuple((topic_of(p.clause), p.text) for p in read_document(FOLDER / f"{policy}.md").passages)


def _row(messages: Sequence[Mapping[str, str]], answer: str) -> dict[str, Any]:
    return {"messages": list(messages), "answer": answer, "kind": "answerable"}


def _numbered(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "fact_id": str(number)} for number, row in enumerate(rows)]


def main() -> None:
    """Start a training and say where it runs, or take what was trained into the product."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("writer", "reader", "ship"))
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--passes", type=float, default=3.0)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    go_quiet()
    if options.role == "ship":
        sys.stdout.write("".join(f"{file}\n" for file in ship(options.workspace.resolve())))
        return
    started = start(
        options.role,
        options.workspace.resolve(),
        passes=options.passes,
        learning_rate=options.learning_rate,
        threads=options.threads,
    )
    sys.stdout.write(json.dumps(started) + "\n")


def ship(workspace: Path) -> list[Path]:
    """Write the writer and the reader that the workspace has where the product looks for them, half as large; the files written."""
    from engine.adapters import to_gguf

    base = ensure_embedded(Settings.read().models).folder
    written = []
    for role, file in (("writer", WRITER_ADAPTER), ("reader", READER_ADAPTER)):
        if (workspace / "adapters" / role).is_dir():
            to_gguf(workspace / "adapters" / role, base, file, half=True)
            written.append(file)
    return written


def start(role: Role, workspace: Path, *, passes: float, learning_rate: float, threads: int) -> dict[str, Any]:
    """Train one of the two on every policy that is not held out, by the product's own worker."""
    from engine.training import start_training, with_preset

    names = [name for name in policies() if not held_out(name)]
    rows = writer_rows(names) if role == "writer" else reader_rows(names)
    runs, adapters = workspace / "runs", workspace / "adapters"
    runs.mkdir(parents=True, exist_ok=True)
    adapters.mkdir(exist_ok=True)
    config = with_preset(
        "thorough",
        adapter=role,
        dataset="corpus:1",
        learning_rate=learning_rate,
        epochs=passes,
        max_minutes=None,
        max_steps=max(1, round(passes * len(rows) / 8)),
        threads=threads,
    )
    job = start_training(
        config,
        rows,
        runs=runs,
        adapters_dir=adapters,
        models_dir=Settings.read().models,
        now=datetime.now(UTC).isoformat(),
    )
    return {"rows": len(rows), "policies": len(names), "job": job.id, "folder": job.folder}


if __name__ == "__main__":
    main()
