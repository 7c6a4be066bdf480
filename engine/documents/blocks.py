"""What every format is turned into on the way, and the one place that turns it into passages, ids and offsets."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.errors import InvalidInput
from engine.records import Document, Passage, PassageKind
from engine.sentences import sentences

LONGEST = 1200
"""Characters; a longer paragraph is split at sentence ends."""

BlockKind = Literal["heading", "paragraph", "list_item", "table_row"]

_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′", "'"),
        **dict.fromkeys("“”„‟″", '"'),
        **dict.fromkeys("\u00a0\u2007\u2009\u200a\u202f\u2002\u2003\u2028\u2029", " "),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff\x00", ""),
        **{"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "‑": "-"},
    }
)
NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,4})[.)]?\s+(?=[^\W\d_])")
"""The number that a heading or clause starts with: "4", "4.2", "4.2.1."."""

_LABEL = re.compile(r"\"?\(([a-z]{1,2}|[ivxlc]+|[A-Z]|[IVX]+|\d{1,2})\)\s+\S")  # "(a) …": a list item, label kept
_CONTENTS = re.compile(r"(?:table of )?contents", re.IGNORECASE)
_LEADER = re.compile(r"(?:\.\s?){4,}\s*(?:\d+|[ivxl]+)?$|\s…+\s*\d+$")


@dataclass(frozen=True)
class Block:
    """One heading, paragraph, list item or table row, as a format's reader found it."""

    kind: BlockKind
    text: str
    level: int = 0  # of a heading: smaller is outer; of a list item: 0 for the outermost list
    page: int | None = None


def plain(text: str) -> str:
    """White space collapsed, typographic quotes made straight, ligatures spelled out: one wording for all formats."""
    straight = text.translate(_TYPOGRAPHY).replace("''", '"').replace("``", '"')
    return re.sub(r"\s+", " ", straight).strip()


def assemble(
    name: str, data: bytes, media_type: str, blocks: Iterable[Block], *, page_count: int | None = None
) -> Document:
    """
    The document with its passages, heading paths, ids and offsets.

    The one outermost heading that everything stands under is the document's title: it is left out of the paths, so
    that a new title does not change every clause; a numbered heading is never the title. A passage's id is of its
    clause and text; the second identical text under the same headings gets "-2". Raises InvalidInput when nothing readable is left.
    """
    found = _drop_contents(_read_inline_lists(replace(block, text=plain(block.text)) for block in blocks))
    found = _promote_short_lines(found)
    title = _title(found)
    passages: list[Passage] = []
    document_id = hashlib.sha256(data).hexdigest()[:16]
    offset = 0
    placed = list(_placed(found, title))
    ids = passage_ids((heading, piece) for heading, block, _ in placed for piece in _pieces(block.text))
    for heading, block, lead_in in placed:
        for piece in _pieces(block.text):
            passages.append(
                Passage(
                    id=next(ids),
                    document_id=document_id,
                    position=len(passages),
                    heading=heading,
                    page=block.page,
                    text=piece,
                    start=offset,
                    end=offset + len(piece),
                    kind=_passage_kind(block),
                    lead_in=lead_in,
                )
            )
            offset += len(piece) + 1
    if not passages:
        raise InvalidInput(f"{name} has no readable text. Load a document that has paragraphs, lists or tables.")
    text = "\n".join(passage.text for passage in passages)
    return Document(document_id, name, media_type, text, tuple(passages), page_count)


def passage_ids(passages: Iterable[tuple[Sequence[str], str]]) -> Iterator[str]:
    """An id for each (heading path, text): of the two alone, and the second identical pair gets "-2"."""
    seen: Counter[str] = Counter()
    for heading, text in passages:
        key = hashlib.sha256("\n".join([*heading, "", text]).encode()).hexdigest()[:16]
        seen[key] += 1
        yield key if seen[key] == 1 else f"{key}-{seen[key]}"


def _passage_kind(block: Block) -> PassageKind:
    if block.kind == "heading":
        raise AssertionError("a heading is no passage")
    return block.kind


def _pieces(text: str) -> Iterator[str]:
    """The text itself, or parts of at most LONGEST characters that end where sentences end."""
    if len(text) <= LONGEST:
        yield text
        return
    piece = ""
    for sentence in sentences(text):
        if piece and len(piece) + 1 + len(sentence) > LONGEST:
            yield piece
            piece = ""
        piece = f"{piece} {sentence}".strip()
    yield piece


def _read_inline_lists(blocks: Iterable[Block]) -> list[Block]:
    """
    Lists that a converter ran together ("our values: - Open - Kind") taken apart again, empty blocks dropped.

    A paragraph that starts with "(a)" becomes a list item and keeps its label, since clauses refer to it.
    """
    found: list[Block] = []
    open_labels: list[str] = []  # the kind of label of each open list, outermost first
    for block in blocks:
        if not block.text:
            continue
        if block.kind == "heading":
            open_labels = []
        marker = re.search(r"(?<=:) ([-*•–]) (?=\S)|(?<=[.;]) ([*•]) (?=\S)", block.text)
        mark = (marker.group(1) or marker.group(2)) if marker else ""
        items = block.text[marker.end() :].split(f" {mark} ") if marker else []
        if block.kind in ("heading", "table_row"):
            found.append(block)
        elif marker and len(items) + (block.kind == "list_item") > 1:
            found.append(replace(block, text=block.text[: marker.start()]))
            found.extend(replace(block, kind="list_item", text=item.strip()) for item in items if item.strip())
        else:
            label = _LABEL.match(block.text) if block.kind == "paragraph" else None
            if label:
                open_labels = _with_label(label.group(1), open_labels)
                block = replace(block, kind="list_item", level=len(open_labels) - 1)
            found.append(block)
    return found


def _with_label(label: str, open_labels: Sequence[str]) -> list[str]:
    """The open lists once an item with this label has come: "(1)" opens one inside "(a)", and "(b)" closes it."""
    if label.isdigit():
        kind = "1"
    elif re.fullmatch(r"[ivx]+", label) and ("i" in open_labels or (label == "i" and "a" in open_labels)):
        kind = "i"
    elif re.fullmatch(r"[IVX]+", label) and ("I" in open_labels or (label == "I" and "i" in open_labels)):
        kind = "I"
    else:
        kind = "a" if label.islower() else "A"
    if label == "i" and "A" in open_labels:
        kind = "i"
    if kind in open_labels:
        return [*open_labels[: open_labels.index(kind)], kind]
    return [*open_labels, kind]


def _entry(text: str) -> str:
    """A heading or a line of the contents page, without leaders, page number and case."""
    return re.sub(r"\W+", " ", re.sub(r"[\s.…]*\d+$", "", text)).strip().casefold()


def _drop_contents(blocks: Sequence[Block]) -> list[Block]:
    """Without the contents page: its heading, its dotted lines, and what under it repeats a later heading."""
    kept: list[Block] = []
    headings = {_entry(block.text) for block in blocks if block.kind == "heading"}
    headings |= {re.sub(r"\W+", " ", block.text).strip().casefold() for block in blocks if block.kind == "heading"}
    in_contents = False
    for block in blocks:
        if _CONTENTS.fullmatch(block.text) and block.kind in ("heading", "paragraph"):
            in_contents = True
            continue
        if _LEADER.search(block.text):
            continue
        whole = re.sub(r"\W+", " ", block.text).strip().casefold()
        if in_contents and block.kind != "heading" and (_entry(block.text) in headings or whole in headings):
            continue
        in_contents = False
        kept.append(block)
    return kept


def _promote_short_lines(blocks: Sequence[Block]) -> list[Block]:
    """A short line in title case with a paragraph after it is a heading that its author did not mark as one."""
    found: list[Block] = []
    path: list[Block] = []
    for at, block in enumerate(blocks):
        follows = blocks[at + 1] if at + 1 < len(blocks) else None
        if block.kind == "heading":
            path = [outer for outer in path if outer.level < block.level] + [block]
        elif block.kind == "paragraph" and follows is not None and _reads_like_heading(block.text, follows):
            if any(block.text.casefold() == outer.text.casefold() for outer in path):
                continue  # the heading that it stands under, said again
            found.append(replace(block, kind="heading", level=path[-1].level + 1 if path else 1))
            continue
        found.append(block)
    return found


def _reads_like_heading(text: str, follows: Block) -> bool:
    words = re.findall(r"[^\W\d_][\w'-]*", text)
    long_words = [word for word in words if len(word) > 3] or words
    capitals = sum(word[0].isupper() for word in long_words)
    return (
        len(text) <= 70
        and bool(words)
        and text[-1] not in ".:;,!?"
        and (text[0].isupper() or text[0].isdigit())
        and not re.search(r"\d{4}|[:;|]", text)
        and capitals == len(long_words)
        and follows.kind == "paragraph"
        and len(follows.text) >= 80
    )


def _title(blocks: Sequence[Block]) -> list[Block]:
    """The first heading, when it alone stands on the outermost level; on a title page, the lines under it as well."""
    headings = [block for block in blocks if block.kind == "heading"]
    title: list[Block] = []
    for at, heading in enumerate(headings):
        if NUMBERED.match(heading.text) or any(below.level <= heading.level for below in headings[at + 1 :]):
            break
        if title and any(block.page in (None, heading.page) for block in blocks if block.kind != "heading"):
            break
        title.append(heading)
    return title


def _placed(blocks: Sequence[Block], title: Sequence[Block]) -> Iterator[tuple[tuple[str, ...], Block, str]]:
    """Each block that is no heading, with its heading path and the sentence that introduces it."""
    path: list[Block] = []
    introduced = ""  # the last sentence of the paragraph just before
    parents: list[str] = []  # the lead-in of each open list, outermost first
    previous: Block | None = None
    for block in blocks:
        if block.kind == "heading":
            path = [outer for outer in path if outer.level < block.level] + [block]
            introduced, parents, previous = "", [], None
            continue
        lead_in = ""
        if previous is not None and previous.kind not in ("paragraph", block.kind):
            introduced = ""  # a list between a sentence and a table: the sentence introduced the list
        if block.kind == "paragraph":
            introduced, parents = sentences(block.text)[-1], []
        elif block.kind == "table_row":
            lead_in = introduced
        else:
            if previous is None or previous.kind != "list_item":
                parents = [introduced]
            elif block.level > previous.level:
                parents.append(sentences(previous.text)[-1])
            parents = parents[: block.level + 1] or [introduced]
            lead_in = parents[-1]
        heading = tuple(outer.text for outer in path if not any(outer is line for line in title))
        yield heading or tuple(line.text for line in path), block, lead_in
        previous = block
