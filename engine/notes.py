"""What people should see of a document before they generate from it: its language, its instructions to models, its gaps."""

import re
from collections import Counter
from collections.abc import Sequence

from engine.personal import find_personal
from engine.records import Document, Passage

_FUNCTION_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the of and to a in is that for be or by with on are as at from this it must may not will your you their an "
        "have has all any which if who when can shall should they we our within after before under per each no do",
        "de": "der die das und ist den dem des ein eine einer eines im in zu von mit für auf bei sich nicht werden wird "
        "sind oder an als auch nach aus durch über vor zum zur bis nur wenn kann können müssen muss er sie wir alle pro",
        "fr": "le la les de des du et est un une en à au aux pour par sur dans qui que ne pas sont être ou avec ce cette "
        "il elle se son sa ses leur doit doivent peut tout plus avant après sous",
        "es": "el la los las de del y es un una en a al para por con que no se su sus son ser o como más este esta debe "
        "deben puede lo sobre antes hasta desde cada",
        "it": "il lo la i gli le di del della dei delle e è un una in a al alla per con che non si sono essere o da dal "
        "nel nella su come deve devono può entro ogni",
        "nl": "de het een en van in is op te dat voor met zijn niet aan er om door bij naar als of worden wordt moet "
        "moeten kan kunnen uit tot over ook die deze per tegen",
        "pt": "o a os as de do da dos das e é um uma em no na nos nas para por com que não se ao à são ser ou como mais "
        "seu sua deve devem pode até cada",
        "pl": "i w z na do się nie że jest o to od po dla przez przed oraz są być może lub ze za jak jego jej ich w ciągu",
        "sv": "och i att det som en ett är av för på med till den de inte om har kan ska eller från vid efter mot per får",
    }.items()
}
_LANGUAGES = {
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "nl": "Dutch",
    "pt": "Portuguese",
    "pl": "Polish",
    "sv": "Swedish",
    "?": "another language",
}
_FEWEST_WORDS = 8
"""Of a passage whose language is asked for; shorter ones are headings, names and cells."""

_INSTRUCTION = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.!?]{0,40}\b(?:previous|prior|above|earlier|all|any|preceding|other|your)\b"
    r"[^.!?]{0,30}\b(?:instructions?|prompts?|system message)\b"
    r"|\b(?:ignore|disregard|forget)\b[^.!?]{0,40}\b(?:instructions?|prompt)\b[^.!?]{0,20}\b(?:above|before|so far)\b"
    r"|\byou are (?:now |no longer )?(?:an? |the )?(?:\w+ ){0,2}(?:AI|language model|chat ?bot|assistant|ChatGPT|LLM)\b"
    r"|\b(?:as|being) an AI(?: language)? (?:model|assistant)\b"
    r"|\b(?:reveal|print|output|repeat|show)\b[^.!?]{0,30}\b(?:system prompt|(?:your|hidden) (?:instructions|prompt))\b"
    r"|\bnew (?:system )?instructions? ?:|\bsystem prompt ?:|\bjailbreak\b"
    r"|<\|(?:im_start|im_end|endoftext|system|user|assistant)\|>|\[/?INST\]|<</?SYS>>|^#{2,3} ?(?:Instruction|Response) ?:",
    re.IGNORECASE,
)
_FRONT_MATTER = 3
"""Pages at the start that may well be a cover and a contents page."""


def notes_on(document: Document) -> list[str]:
    """
    Sentences for people, each with what to do, in the order of weight; none for a plain English policy.

    Nothing here stops anything: text that looks like an instruction to a model is read as text like all other.
    """
    return [
        *document.notes,
        *_on_language(document),
        *_on_instructions(document),
        *_on_personal_data(document),
        *_on_silent_pages(document),
        *_on_tables(document),
    ]


def language_of(text: str) -> str:
    """
    "en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "?" for one that is none of them, "" where too little tells.

    By the function words of each. Measured beside py3langid 0.4: on 198 English texts of three to seven words in real
    policies it took 36 for foreign, and this none; on 40 foreign sentences both were right but for one left undecided here.
    """
    words = re.findall(r"[^\W\d_]+", text.lower())
    letters = [letter for word in words for letter in word]
    if not words:
        return ""
    if sum(letter > "\u024f" for letter in letters) * 2 > len(letters):
        return "?"
    shares = {language: sum(word in known for word in words) for language, known in _FUNCTION_WORDS.items()}
    best = max(shares, key=lambda language: (shares[language], language == "en"))
    if shares[best] >= 2 or shares[best] * 5 >= len(words):
        return best
    return "?" if len(words) >= 25 and not shares["en"] else ""


def _on_language(document: Document) -> list[str]:
    found: Counter[str] = Counter()
    texts = [document.text] if len(document.passages) < 3 else [passage.text for passage in document.passages]
    for text in texts:
        words = len(re.findall(r"[^\W\d_]+", text))
        if words >= _FEWEST_WORDS:
            found[language_of(text)] += words
    del found[""]
    total = sum(found.values())
    foreign = total - found["en"]
    if foreign * 10 < total or not total:
        return []
    del found["en"]
    language = _LANGUAGES[found.most_common(1)[0][0]]
    share = "" if foreign * 10 > 9 * total else f"about {round(10 * foreign / total) * 10} % of "
    return [
        f"{document.name}: {share or 'it '}{'is' if not share else 'its text is'} in {language}, as it seems, and not in "
        "English. The built-in generator knows English only; have it translated, or generate with a teacher model."
    ]


def _on_instructions(document: Document) -> list[str]:
    found = [(passage, match) for passage in document.passages if (match := _INSTRUCTION.search(passage.text))]
    if not found:
        return []
    passage, match = found[0]
    start, end = max(0, match.start() - 20), min(len(passage.text), match.end() + 20)
    more = f", and {len(found) - 1} more such places" if len(found) > 1 else ""
    return [
        f'{document.name}: "{passage.text[start:end].strip()}" ({_where(passage)}{more}) reads like an instruction to a model. '
        "It is treated as text and never followed; take it out if it is no policy."
    ]


def _where(passage: Passage) -> str:
    page = f"page {passage.page}" if passage.page else ""
    return ", ".join(filter(None, [page, passage.clause])) or f"passage {passage.position + 1}"


def _on_personal_data(document: Document) -> list[str]:
    found = Counter(personal.kind for passage in document.passages for personal in find_personal(passage.text))
    if not found:
        return []
    counted = [f"{count} {_plural(kind) if count > 1 else kind}" for kind, count in found.most_common()]
    return [
        f"{document.name}: {_listed(counted)} found. Mask them (--mask, or the box on the page) if no model is to learn them."
    ]


def _plural(kind: str) -> str:
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _on_silent_pages(document: Document) -> list[str]:
    spoken = {passage.page for passage in document.passages if passage.page}
    if not document.page_count or not spoken:
        return []
    first = min(spoken) if min(spoken) <= _FRONT_MATTER + 1 else 1
    silent = [page for page in range(first, document.page_count + 1) if page not in spoken]
    if not silent:
        return []
    runs: list[list[int]] = []
    for page in silent:
        if runs and page == runs[-1][-1] + 1:
            runs[-1].append(page)
        else:
            runs.append([page])
    named = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    shown = _listed(named[:8] + ([f"{len(named) - 8} more"] if len(named) > 8 else []))
    return [
        f"{document.name}: no text was read from page{'s' if len(silent) > 1 else ''} {shown} of {document.page_count}. "
        "If a page was scanned, run OCR on the file (for example ocrmypdf) and load the result."
    ]


def _on_tables(document: Document) -> list[str]:
    if any(passage.kind != "table_row" for passage in document.passages):
        return []
    return [
        f"{document.name}: it has tables and no sentences. Each row is read with its header; "
        "check the questions that come of it, or add a sentence that says what the table lists."
    ]
