"""A report -> HTML: the verdict first, then what was measured, with plots that need no script; every name and answer in it is escaped."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.intervals import Share, p_words, percent
from evals.measures import SHOWN

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
LONGEST_ANSWER = 1200  # characters shown of one; an answer may be a megabyte
MARKS = {"met": "✓", "broken": "✗", "open": "?"}
WORDS = {"met": "met", "broken": "broken", "open": "cannot be told yet"}
OUTCOMES = {"promote": "yes", "do not promote": "no", "not enough evidence": "open"}
GROUPS = {
    "broken": "Broken: right before, wrong now",
    "fixed": "Fixed: wrong before, right now",
    "still wrong": "Still wrong",
}


def fragment(report: Mapping[str, Any]) -> str:
    """The report for within a page, with its style; a report from before there were verdicts says that it has none."""
    return _environment().get_template("fragment.html").render(**_told(report))


def page(report: Mapping[str, Any]) -> str:
    """The report as one file that loads nothing. The same report gives the same bytes."""
    return _environment().get_template("page.html").render(**_told(report))


def columns(report: Mapping[str, Any]) -> list[str]:
    """The head of the table of models."""
    return ["", *SHOWN[report["answer_kind"]].values(), "failed"]


def table(report: Mapping[str, Any]) -> list[list[str]]:
    """One line a model, those that need no training first; a share never without its count and interval."""
    shown = SHOWN[report["answer_kind"]]
    every = {**report["trivial_measures"], **report["measures"]}
    return [
        [name, *(_worded(found.get(key)) for key in shown), str(found["failed"]["right"])]
        for name, found in every.items()
    ]


SPEED_HEAD = [
    "",
    "seconds an answer",
    "seconds to its first token",
    "tokens an answer",
    "tokens a second",
    "tokens in all: read, written",
]


def speed_table(report: Mapping[str, Any]) -> list[list[str]]:
    """How fast each model was and what it cost, the parts apart; what its engine does not say is a dash."""
    lines = []
    for name, found in report["measures"].items():
        speed, cost = found["speed"], found["cost"]
        parts = [
            _ends(speed["latency_ms"], 1000, ".1f"),
            _ends(speed["first_token_ms"], 1000, ".2f"),
            _ends(speed["tokens_out"], 1, ".0f"),
            _ends(speed["tokens_per_s"], 1, ".1f"),
        ]
        read = f"{cost['tokens_in']:,}" if cost["tokens_in"] else "–"
        lines.append([name, *parts, f"{read}, {cost['tokens_out']:,}"])
    return lines


def _ends(found: Mapping[str, float | None], unit: float, form: str) -> str:
    """ "1.3 (p95: 5.0)"."""
    (_, middle), (name, slow) = found.items()
    return "–" if middle is None or slow is None else f"{middle / unit:{form}} ({name}: {slow / unit:{form}})"


def _worded(found: Any) -> str:
    if isinstance(found, Mapping):
        return str(Share(**found))
    return "–" if found is None else f"{found:.2f}"


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"percent": percent, "signed": lambda value: f"{100 * value:+.1f}", "cut": _cut, "p_words": p_words}
    made.globals |= {
        "at": _at,
        "share": _worded,
        "marks": MARKS,
        "words": WORDS,
        "outcomes": OUTCOMES,
        "groups": GROUPS,
    }
    return made


def _told(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the templates are given: the report, and what is computed from it for showing."""
    style = (HERE / "report.css").read_text(encoding="utf-8")
    if "format" not in report:
        return {
            "report": report,
            "style": style,
            "head": [],
            "lines": [],
            "speed_head": [],
            "speeds": [],
            "scale": {},
            "confusions": {},
        }
    return {
        "report": report,
        "style": style,
        "head": columns(report),
        "lines": table(report),
        "speed_head": SPEED_HEAD,
        "speeds": speed_table(report),
        "scale": {
            pair["second"]: _scale(
                [pair["change"], *(each["change"] for each in pair["slices"] if each["p_holm"] is not None)]
            )
            for pair in report["pairs"]
        },
        "confusions": {
            name: _confusion(found["confusion"]) for name, found in report["measures"].items() if found.get("confusion")
        },
    }


def _scale(changes: Sequence[Mapping[str, Any]]) -> float:
    """How far the axis reaches to either side: the furthest end of an interval, up to the next ten points."""
    furthest = max(abs(each[end]) for each in changes for end in ("low", "high"))
    return float(min(1.0, max(0.1, ceil(10 * furthest) / 10)))


def _at(value: float, scale: float) -> str:
    """Where on the axis a change lies, in percent of its width."""
    return f"{50 + 50 * max(-1.0, min(1.0, value / scale)):.2f}"


def _confusion(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Rows: what was wanted; columns: what was said, each with its share of the row, for shading."""
    said = sorted({say for row in counts.values() for say in row})
    rows = [
        (want, [(row.get(say, 0), round(100 * row.get(say, 0) / max(1, sum(row.values())))) for say in said])
        for want, row in counts.items()
    ]
    return {"said": said, "rows": rows}


def _cut(text: str, longest: int = LONGEST_ANSWER) -> str:
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text):,} characters in all)"
