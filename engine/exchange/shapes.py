"""One row and one record of each format, both ways. Knows no file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.exchange import Format, Lineage, Unfit
from engine.exchange.spreadsheet import guarded
from engine.records import LedgerRow
from engine.tasks import Task

QUESTIONS = ("question", "prompt", "instruction", "input", "query", "user")
ANSWERS = ("answer", "completion", "response", "output", "assistant")
TEXTS = ("text", "statement")
CSV_COLUMNS = (
    "question", "answer", "kind", "split", "clause", "evidence", "form", "origin", "fact", "id", "passage", "digest",
)  # fmt: skip
WANTED = {
    "chat": '"messages" (a list of turns)',
    "prompt": '"prompt" and "completion" (or question and answer)',
    "alpaca": '"instruction" and "output", with or without "input"',
    "text": '"text" alone, for statements',
}
Record = Mapping[str, Any]
UNKNOWN = Lineage()
HALVES = re.compile("[\ud800-\udfff]")  # what bytes that are not UTF-8 were decoded to, and halves of escapes


@dataclass(frozen=True)
class Pair:
    """What a record says, whatever its format was."""

    question: str  # "" for a statement
    answer: str
    statement: bool = False
    system: str = ""
    lineage: Lineage = UNKNOWN


def carries_statements(format: Format) -> bool:
    """Whether a bare text has a place in the format that its readers train as such."""
    return format in ("prompt", "hf", "csv")


def as_record(row: LedgerRow, task: Task, format: Format, lineage: Lineage) -> dict[str, Any]:
    """The row as that format has it. Statements only where `carries_statements`."""
    question, answer = row.example.question, row.example.answer
    bare = row.example.kind == "statement"
    chat = [] if bare else [*task.messages(question), {"role": "assistant", "content": answer}]
    beside = lineage.as_dict()
    match format:
        case "chat":
            return {"messages": chat, "lineage": beside}
        case "openai":
            return {"messages": chat}
        case "hf":
            return {"text": answer, **beside} if bare else {"messages": chat, **beside}
        case "prompt":
            system = "" if bare else task.system
            return {"prompt": question, "completion": answer, "system": system, "lineage": beside}
        case "alpaca":
            return {"instruction": task.system, "input": question, "output": answer}
        case "csv":
            cells = {"question": question, "answer": answer, **beside}
            return {column: guarded(cells[column]) for column in CSV_COLUMNS}


def shape_of(record: Record) -> str:
    """Which of WANTED a record has; "" for none of them."""
    if "messages" in record:
        return "chat"
    if "instruction" in record and "output" in record:
        return "alpaca"
    asked, text = _first(QUESTIONS, record), _first(TEXTS, record)
    if (asked and _first(ANSWERS, record)) or ((asked or text) and "label" in record):
        return "prompt"
    return "text" if text else ""


def as_pair(record: Record, shape: str, *, instruction_is_system: bool = False) -> Pair:
    """
    What the record says. Raises Unfit with the reason and the next step.

    `shape`: that of the file; a bare text may stand in any file. `instruction_is_system`: every row of an Alpaca file has
    the same instruction, so the question is its input.
    """
    lineage = Lineage.read(record.get("lineage", record if "digest" in record else None))
    own = shape_of(record)
    if shape == "text":
        shape = own
    if own == "text":
        return Pair("", _text(record, _first(TEXTS, record)), statement=True, lineage=lineage)
    if shape == "chat":
        if own != "chat":
            raise Unfit('no "messages", which the rows before it have. Give every row the same columns.')
        system, question, answer = _turns(record["messages"])
    elif shape == "alpaca":
        system, question, answer = _alpaca(record, instruction_is_system)
    else:
        system, question, answer = _prompt(record)
    if not question.strip() and lineage.kind == "statement":
        return Pair("", answer, statement=True, lineage=lineage)
    if not question.strip():
        raise Unfit("no question: its text is empty. Fill it in, or leave the row out.")
    return Pair(question, answer, system=system, lineage=lineage)


def columns_of(records: Sequence[Record]) -> str:
    """The names of the columns seen, for a sentence."""
    names = list(dict.fromkeys(str(name) for record in records for name in record))
    return ", ".join(f'"{name[:40]}"' for name in names[:12]) + (" …" if len(names) > 12 else "") or "none"


def wanted() -> str:
    """The columns that make a row, for a sentence."""
    return "; ".join(WANTED.values())


def _prompt(record: Record) -> tuple[str, str, str]:
    asked, answered = _first(QUESTIONS, record), _first(ANSWERS, record)
    if not answered and "label" in record:
        asked, answered = asked or _first(TEXTS, record), "label"
    if not asked or not answered:
        raise Unfit(f"it has neither a question nor an answer, but {columns_of([record])}. Give every row both.")
    if isinstance(record[asked], list) and isinstance(record[answered], list):
        return _turns([*record[asked], *record[answered]])
    system = _text(record, "system") if record.get("system") else ""
    return system, _text(record, asked, empty=True), _text(record, answered)


def _alpaca(record: Record, instruction_is_system: bool) -> tuple[str, str, str]:
    if "instruction" not in record or "output" not in record:
        raise Unfit('no "instruction" or no "output", which the rows before it have. Give every row the same columns.')
    said = _text(record, "instruction", empty=True)
    given = _text(record, "input", empty=True) if record.get("input") is not None else ""
    answer = _text(record, "output")
    if given and instruction_is_system:
        return said, given, answer
    system = _text(record, "system") if record.get("system") else ""
    return system, f"{said}\n\n{given}" if given and said else said or given, answer


def _turns(turns: object) -> tuple[str, str, str]:
    """System prompt, question and answer of a conversation of one question."""
    if not isinstance(turns, list) or not all(isinstance(turn, Mapping) for turn in turns):
        raise Unfit(f'"messages" is {_kind(turns)} instead of a list of turns. Write [{{"role": …, "content": …}}, …].')
    roles = [_text(turn, "role") for turn in turns]
    unknown = [role for role in roles if role not in ("system", "developer", "user", "assistant")]
    if unknown:
        raise Unfit(f'unknown role "{unknown[0][:40]}". Use system, user and assistant.')
    system = [turn for turn, role in zip(turns, roles, strict=True) if role in ("system", "developer")]
    rest = [role for role in roles if role in ("user", "assistant")]
    said = [turn for turn in turns if turn.get("role") in ("user", "assistant")]
    _check_order(roles, rest)
    if said[1].get("weight") == 0:
        raise Unfit('the answer has "weight": 0, so it is not to be learned. Leave the row out, or the weight.')
    return _content(system[0]) if system else "", _content(said[0]), _content(said[1])


def _check_order(roles: Sequence[str], rest: Sequence[str]) -> None:
    """Raises Unfit unless the turns are: perhaps one system, user, assistant."""
    if "assistant" not in rest:
        raise Unfit("no assistant turn, so no answer to learn. Add it, or leave the row out.")
    if "user" not in rest:
        raise Unfit("no user turn, so no question. Add it, or leave the row out.")
    if rest[0] == "assistant":
        raise Unfit("roles swapped: the assistant speaks before the user. Swap the two roles.")
    if rest[-1] == "user":
        raise Unfit("the user has the last word, so no answer follows. Add the assistant's turn.")
    if len(rest) > 2:
        raise Unfit("several questions in one conversation. Make a row of each question and its answer.")
    if len(roles) - len(rest) > 1 or (len(roles) > 2 and roles[0] in ("user", "assistant")):
        raise Unfit("a system turn that is not the first and only one. Put one system turn at the start.")


def _content(turn: Record) -> str:
    """The text of a turn; OpenAI also writes it as a list of text parts."""
    content = turn.get("content")
    if isinstance(content, list) and content:
        parts = [part for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
        if len(parts) < len(content):
            raise Unfit("a turn holds something other than text, such as a picture. Only text can be taught here.")
        return "".join(_text(part, "text") for part in parts)
    if content is None and turn.get("tool_calls"):
        raise Unfit("the answer is a call of a tool, without text. Only text can be taught here.")
    return _text(turn, "content")


def _text(record: Record, name: str, *, empty: bool = False) -> str:
    found = record.get(name)
    if found is None:
        raise Unfit(f'no "{name}". Fill it in, or leave the row out.')
    if not isinstance(found, str):
        raise Unfit(f'"{name}" is {_kind(found)} instead of text. Write it in quotes.')
    if not empty and not found.strip():
        raise Unfit(f'"{name}" is empty. Fill it in, or leave the row out.')
    return sound(found)


def sound(text: str) -> str:
    """The text itself. Raises Unfit where it could not be stored or written again as UTF-8."""
    if HALVES.search(text):
        raise Unfit("it holds bytes or escapes that are not UTF-8 text. Save the file again as UTF-8.")
    if "\0" in text:
        raise Unfit("it holds a null character. Remove it.")
    return text


def _kind(found: object) -> str:
    names: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "true or false"), ((int, float), "a number"), (str, "a text"), (list, "a list"), (Mapping, "an object"),
    ]  # fmt: skip
    return next((name for kind, name in names if isinstance(found, kind)), "empty")


def _first(names: Sequence[str], record: Record) -> str:
    return next((name for name in names if name in record), "")
