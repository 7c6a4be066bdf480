"""Training questions a second checked for closeness to held-out ones; peers: a scan of all pairs, and MinHash LSH."""

import random
import time
from collections.abc import Callable
from typing import Any

from engine.documents import read_document
from engine.facts import facts_of
from engine.generate import EmbeddedGenerator
from engine.quality import TOO_CLOSE, HeldOut, word_set
from engine.samples import MARKDOWN

ROWS, HELD_OUT = 100_000, 10_000
SCANNED = 300  # a scan of all would take an hour; its rate does not depend on how many are scanned


def run() -> dict[str, Any]:
    """
    Questions of the generator over the sample policy, its numbers and some of its words changed to make 110,000 of them.

    MinHash LSH is measured where `datasketch` is installed; `missed` is how many of our close rows it does not find.
    """
    held_out, asked = _questions(HELD_OUT, seed=1), _questions(ROWS, seed=2)
    ours_s, found = _timed(lambda: _close(held_out, asked))
    scan_s, scanned = _timed(lambda: _scan(held_out, asked[:SCANNED]))
    assert scanned == {row for row in found if row < SCANNED}, "the index and the scan disagree"
    report: dict[str, Any] = {
        "ours": round(ROWS / ours_s),
        "peer": round(SCANNED / scan_s, 1),
        "ratio": round((ROWS / ours_s) / (SCANNED / scan_s), 1),
        "unit": "rows/s",
        "rows": ROWS,
        "held_out": HELD_OUT,
        "close": len(found),
        "seconds": round(ours_s, 1),
    }
    try:
        import datasketch  # noqa: F401
    except ImportError:
        return report | {"minhash": None}
    minhash_s, candidates = _timed(lambda: _minhash(held_out, asked))
    return report | {
        "minhash": round(ROWS / minhash_s),
        "minhash_seconds": round(minhash_s, 1),
        "minhash_missed": len(found - candidates),
    }


def _close(held_out: list[str], asked: list[str]) -> set[int]:
    index = HeldOut(held_out)
    return {number for number, question in enumerate(asked) if index.near(question)}


def _scan(held_out: list[str], asked: list[str]) -> set[int]:
    sets = [word_set(question) for question in held_out]

    def close(question: str) -> bool:
        words = word_set(question)
        return any(len(words & other) >= TOO_CLOSE * len(words | other) for other in sets)

    return {number for number, question in enumerate(asked) if close(question)}


def _minhash(held_out: list[str], asked: list[str]) -> set[int]:
    """Candidates by MinHash (128 permutations, one threshold), decided by the exact index of their words."""
    from datasketch import MinHash, MinHashLSH

    def signatures(texts: list[str]) -> Any:
        return MinHash.generator(([word.encode() for word in word_set(text)] for text in texts), num_perm=128)

    sets = [word_set(question) for question in held_out]
    lsh = MinHashLSH(threshold=TOO_CLOSE, num_perm=128)
    for number, signature in enumerate(signatures(held_out)):
        lsh.insert(number, signature)
    close = set()
    for number, signature in enumerate(signatures(asked)):
        words = word_set(asked[number])
        if any(len(words & sets[n]) >= TOO_CLOSE * len(words | sets[n]) for n in lsh.query(signature)):
            close.add(number)
    return close


def _questions(count: int, *, seed: int) -> list[str]:
    """`count` questions of the generator; from the second round on, words of other questions take the places of some."""
    rng = random.Random(seed)
    document = read_document(MARKDOWN)
    rows = EmbeddedGenerator().propose([document], facts_of([document]), rng=rng)
    plain = [row.example.question for row in rows if row.example.question]
    words = sorted({word for question in plain for word in question.split()})
    found = list(plain[:count])
    while len(found) < count:
        question = [word if rng.random() < 0.6 else rng.choice(words) for word in rng.choice(plain).split()]
        found.append(" ".join(question))
    return found


def _timed(work: Callable[[], set[int]]) -> tuple[float, set[int]]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found
