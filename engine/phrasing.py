"""One fact -> the many ways people ask for it. Rules only: no model, no network. Yields more forms than are needed."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log

from engine.facts import DATE, find_values
from engine.grammar import Clause, as_first_person, base_form, first_person, take_apart, uncapitalised
from engine.lexicon import GREETINGS, ORGANISATION, ROLE_WORDS, STOPWORDS, SYNONYMS, VERBS
from engine.records import Fact
from engine.sentences import sentences
from engine.styles import ACTION_FORMS, TOPIC_FORMS, actions, asked_in_every_style, crops

GENERIC_HEADINGS = frozenset(
    """
    overview general purpose introduction policy scope details background summary other notes policies
    guidelines
    """.split()
)
ASKABLE = ("if ", "when ", "once ", "while ", "during ", "after ", "before ")
"""Conditions that a question may repeat; "unless" and "except" would turn its meaning round."""
GENERIC_COLUMNS = frozenset("detail details value values description information entry note content".split())
TIME_UNITS = ("day", "week", "month", "year", "hour", "minute", "quarter")
_STOP_OF = re.compile(
    r"\s(?:in|into|per|each|to|for|at|by|from|during|within|after|before|on|with|and|a|every|when|as|under)\s"
)


@dataclass(frozen=True)
class Wording:
    """One question for a fact, and the answer it wants."""

    form: str
    question: str
    answer: str


@dataclass(frozen=True)
class Vocabulary:
    """What the corpus says about words: which are names, and how rare each is (inverse document frequency)."""

    proper: frozenset[str]
    rarity: dict[str, float]

    def key_phrase(self, text: str, *, longest: int = 4) -> str:
        """The run of up to `longest` content words of `text` that is rarest in the corpus; "" when there is none."""
        runs: list[list[str]] = [[]]
        for word in re.findall(r"[A-Za-z][\w'&-]*|[^\w\s]|\d+", text):
            verb = base_form(word)
            if word.lower() in STOPWORDS or not word[0].isalpha() or (verb and verb[1] and runs[-1]):
                runs.append([])
            else:
                runs[-1].append(word)
        best, best_score = "", 0.0
        for run in runs:
            for start in range(len(run)):
                for end in range(start + 1, min(len(run), start + longest) + 1):
                    words = run[start:end]
                    score = sum(self.rarity.get(word.lower(), 3.0) for word in words) / len(words) ** 0.5
                    if score > best_score and (len(words) > 1 or len(words[0]) > 3):
                        best, best_score = " ".join(words), score
        return uncapitalised(best, self.proper)


def topic_of(clause: str) -> str:
    """The innermost heading that names something, without its number: "4 Leave › 4.2 Sick leave" -> "Sick leave"."""
    parts = [re.sub(r"^[\dA-Z]{0,3}[\d.()]*[.)]?\s+", "", part).strip(" :") for part in clause.split(" › ")]
    for part in reversed(parts):
        if part and part.lower() not in GENERIC_HEADINGS:
            return part
    return parts[-1] if parts else ""


def wordings(fact: Fact, vocabulary: Vocabulary) -> list[Wording]:
    """
    Every wording the rules find for a fact, plain ones first; none twice.

    The answer to all is the statement, with "Yes." or "No." before it where the question asks for it.
    """
    topic = " ".join(uncapitalised(word, vocabulary.proper) for word in topic_of(fact.clause).split())
    phrase = vocabulary.key_phrase(fact.statement)
    item = ": " in fact.statement and not fact.statement.startswith(fact.evidence[:20])
    sentence = fact.statement.split(": ", 1)[-1] if item else fact.statement
    clauses = _clauses(sentence, vocabulary.proper)
    found: dict[str, Wording] = {}
    for form, question, answer in _all_forms(fact, clauses, topic, phrase):
        question = _tidy(question)
        words = question.split()
        if 3 <= len(words) <= 34 and question.lower() not in found:
            found[question.lower()] = Wording(form, question, answer)
    return list(found.values())


def _clauses(text: str, proper: frozenset[str]) -> list[Clause]:
    """The clauses of one or two sentences; a later "it" or "they" is put back into the first one's words."""
    found: list[Clause] = []
    for sentence in sentences(text) or [text]:
        clause = take_apart(sentence, proper)
        if clause is None:
            continue
        if clause.subject.lower() in ("it", "they", "this", "these", "those"):
            if not found:
                continue
            clause = replace(clause, subject=found[0].subject)
        if len(clause.subject.split()) <= 12:
            found.append(clause)
    return found


def _all_forms(fact: Fact, clauses: Sequence[Clause], topic: str, phrase: str) -> Iterator[tuple[str, str, str]]:
    plain = fact.statement
    for clause in clauses:
        for voice in (clause, first_person(clause)) if clause.staff else (clause,):
            if voice.subject.lower() in ORGANISATION:
                voice = replace(voice, subject="the company" if voice.auxiliary else "you", plural=not voice.auxiliary)
            yield from _inversions(voice, plain)
            yield from ((form, question, plain) for form, question in _wh(voice))
            yield from ((form, question, plain) for form, question in _values(voice, topic))
        yield from ((form, question, plain) for form, question in _condition(clause))
    yield from ((form, question, plain) for form, question in _list_forms(fact, topic))
    yield from ((form, question, plain) for form, question in _fallbacks(plain, phrase))
    yield from ((form, question, plain) for form, question in _topics(fact, topic, phrase))


def _inversions(clause: Clause, plain: str) -> Iterator[tuple[str, str, str]]:
    """Yes/no questions. "No." where the sentence forbids; the question itself is always the positive one."""
    head, tail = clause.asked()
    answer = f"{'No' if clause.negated else 'Yes'}. {plain}"
    short = _shortened(tail)
    runs_on = re.search(
        r",\s.*\b(?:is|are)\b|\s(?:and|or|but)\s(?:\w+\s)?(?:is|are|must|may|will|can|has|have|\w+s)\b", tail
    )
    for part in (short,) if runs_on else dict.fromkeys((tail, short)):
        yield "inversion", f"{head} {part}?", answer
        if clause.condition.lower().startswith(ASKABLE):
            yield "inversion", f"{head} {part} {clause.condition}?", answer
    if clause.subject == "I" and clause.auxiliary in ("may", "can", "must", "should"):
        allowed = {"may": "Am I allowed to", "can": "Is it OK to", "must": "Do I have to", "should": "Am I supposed to"}
        yield "inversion", f"{allowed[clause.auxiliary]} {short}?", answer
    if clause.negated and clause.auxiliary in ("must", "may", "can", "should"):
        yield (
            "inversion",
            f"Is it allowed to {short}?" if clause.staff or clause.subject == "I" else f"{head} {short}?",
            answer,
        )


def _wh(clause: Clause) -> Iterator[tuple[str, str]]:
    """What, who, when, where and how, by the words the clause is made of."""
    head, tail = clause.asked()
    subject_words = set(re.findall(r"[a-z]+", clause.subject.lower()))
    verb = clause.rest.split()[0].lower() if clause.rest else ""
    if subject_words & ROLE_WORDS and not clause.negated:
        if clause.auxiliary:
            yield "who", f"who {_singular(clause.auxiliary)} {clause.rest}?"
            yield "who", f"who {_singular(clause.auxiliary)} {_shortened(clause.rest)}?"
        else:
            yield "who", f"who {_third(clause.verb)} {clause.rest}?"
            yield "who", f"who {_third(clause.verb)} {_shortened(clause.rest)}?"
    by = re.search(r"^(.*?)\b(\w+ed)\b(.*?)\sby\s(?:the|your|a|an|their)?\s?([A-Za-z ]+)", clause.rest)
    if by and set(by[4].lower().split()) & ROLE_WORDS:
        yield (
            "who",
            f"who {'has' if clause.auxiliary in ('must', 'is', 'are') else 'can'} to {_infinitive(by[2])} {clause.subject}?",
        )
        yield "who", f"by whom {clause.auxiliary} {clause.subject} {by[1]}{by[2]}?"
    if clause.auxiliary in ("is", "are") and re.match(r"(?:the|an?|any|one|all)\b", clause.rest) and not clause.negated:
        yield "what_is", f"what {clause.auxiliary} {clause.subject}?"
        if " for " in f" {clause.rest} ":
            yield "what_for", f"what {clause.auxiliary} {clause.subject} {clause.rest.partition(' for ')[0]} for?"
    if clause.auxiliary in ("must", "should", "will", "may", "can", "shall") and not clause.negated and verb != "be":
        yield "what_do", f"what {head} do{_with(clause.condition)}?"
    elif (
        clause.verb
        and not clause.negated
        and re.match(r"(?!(?:to|for|on|in|at|with|from|of|by|as|within|until)\b)\w", clause.rest)
    ):
        yield "what", f"what {head} {clause.verb}{_with(clause.condition)}?"
    for pattern, word in (
        (
            r"\b(?:until|no later than|by the (?:\d+\w*|end|start|first|second|third|fourth|fifth|last)|on or before|before)\b",
            "when",
        ),
        (r"\b(?:in writing|by e-?mail|via|through|using|online|by (?:phone|post))\b", "how"),
        (r"\b(?:at the (?:\w+ )?(?:site|office|desk|reception|helpdesk)|located|stored|kept) ?\b", "where"),
    ):
        marked = re.search(pattern, tail, re.IGNORECASE)
        if word == "when" and marked and find_values(tail[: marked.start()]):
            continue  # "ten days before the trip" is asked for as a value
        if marked and len(tail[: marked.start()].split()) >= 2:
            yield word, f"{word} {head} {tail[: marked.start()].strip()}?"
    passive = re.match(
        r"((?:be )?(?:\w+ed|given|taken|paid|sent|held|kept|made|written|told))\s(?:with|by|through|via|in|to|at|from|on)\b",
        clause.rest,
    )
    if passive and clause.auxiliary in ("is", "are", "must", "can", "may") and not clause.negated:
        yield "how", f"how {clause.auxiliary} {clause.subject} {passive[1]}?"
    because = re.search(r"\b(?:because|in order to|so that|to ensure)\b", tail)
    if because:
        yield "why", f"why {head} {tail[: because.start()].strip()}?"


def _values(clause: Clause, topic: str) -> Iterator[tuple[str, str]]:
    """How many, how much, how long, how soon, when: one question a value, with the value cut out."""
    head, tail = clause.asked()
    for match in find_values(tail):
        value, before, after = match[0], tail[: match.start()].rstrip(), tail[match.end() :].strip(" ,")
        if re.search(r"\b(?:more than|less than|fewer than|over|under|who|whose|which|that)\b", before) or find_values(
            before
        ):
            continue  # the value is part of a condition, or not the first thing that is given
        before = re.sub(
            r"\b(?:up to|at least|at most|a maximum of|a minimum of|no more than|a total of|more than|not exceed|about|approximately)$",
            "",
            before,
        ).rstrip()
        word, unit = _asking(value)
        preposition = before.split()[-1].lower() if before.split() else ""
        bare = before.rsplit(" ", 1)[0] if " " in before else ""
        if word == "when":
            yield "when", f"when {head} {bare or before} {after}?"
            yield "when", f"by what date {head} {bare or before}?"
        elif preposition == "within":
            yield "how_soon", f"how soon {head} {bare}?"
            doing = bare if clause.auxiliary else f"{clause.verb} {bare}"
            if clause.auxiliary in ("is", "are", "am", "has", "have") or doing.startswith("be "):
                yield "how_soon", f"within how many {unit} {head} {bare}?"
            else:
                yield "how_soon", f"how many {unit} do {'I' if clause.staff else 'they'} have to {doing}?"
                yield "how_soon", f"what is the deadline to {doing}?"
        elif re.match(r"(?:before|in advance|prior|notice|ahead)", after):
            yield "how_early", f"how far in advance {head} {before}?"
            yield "how_early", f"how many {unit} {after.split(' ', 1)[0]} {after.partition(' ')[2]} {head} {before}?"
        elif preposition in ("after", "for", "every", "per", "than", "by", "of", "to", "at", "from", "over", "under"):
            yield f"number.{preposition}", f"{preposition} {word} {unit} {head} {bare} {after}?"
            if preposition == "for" and unit.rstrip("s").split()[-1:] and unit.rstrip("s").split()[-1] in TIME_UNITS:
                yield "how_long", f"how long {head} {bare} {after}?"
        else:
            of, rest = _of_part(after)
            yield "number", f"{word} {unit} {of} {head} {before} {rest}?"
            yield "number", f"{word} {unit} {of} {head} {before}?"
        if clause.auxiliary in ("is", "are") and not before:
            yield "what_is", f"what {clause.auxiliary} {clause.subject}?"
            if unit.split() and unit.rstrip("s").split()[-1] in TIME_UNITS:
                yield "how_long", f"how long {clause.auxiliary} {clause.subject}?"
    for match in find_values(clause.subject):
        word, unit = _asking(match[0])
        if re.search(r"\bthan\s*$", clause.subject[: match.start()]):
            continue  # "more than 20 days" is a condition, not what is asked for
        of = clause.subject[match.end() :].strip()
        if word != "when":
            yield "number", f"{word} {unit} {of} {clause.auxiliary or clause.verb} {clause.rest}?"


def _fallbacks(statement: str, phrase: str) -> Iterator[tuple[str, str]]:
    """What a sentence that could not be taken apart still offers: the things done in it, and its values."""
    for number, action in enumerate(actions(statement)):
        for step in range(len(ACTION_FORMS) // 2):
            yield "action", ACTION_FORMS[(number + 2 * step) % len(ACTION_FORMS)].format(action)
    for match in find_values(statement) if phrase else ():
        word, unit = _asking(match[0])
        if match[0].lower() in phrase.lower() or phrase.lower() in unit.lower():
            continue
        if word == "when":
            yield "value_of", f"when is it for {phrase}?"
            yield "value_of", f"{phrase}: by when?"
        else:
            yield "value_of", f"{word} {unit} for {phrase}?"
            yield "value_of", f"{phrase}: {word} {unit} is it?"


def _condition(clause: Clause) -> Iterator[tuple[str, str]]:
    """What happens if …"""
    condition = clause.condition
    if condition.lower().startswith(ASKABLE):
        yield "condition", f"what happens {condition}?"
        yield "condition", f"{as_first_person(condition)}, what applies?"
        head, tail = (first_person(clause) if clause.staff else clause).asked()
        yield "condition", f"{as_first_person(condition)}, {head} {_shortened(tail)}?"


def _list_forms(fact: Fact, topic: str) -> Iterator[tuple[str, str]]:
    """A list item asked from its lead-in, a table row from its label and its columns."""
    lead, _, item = fact.statement.rstrip(".").partition(": ")
    if not item:
        return
    label = lead.strip()
    cells = [cell.strip() for cell in item.split(";")]
    table_row = fact.statement.startswith(fact.evidence[:20])
    if table_row and (len(cells) > 1 or (fact.value and len(label.split()) <= 6)):
        for cell in cells:
            column = re.split(r"\s(?=[\d$€£]|[A-Z0-9])", cell, maxsplit=1)[0]
            name = column.lower()
            if name in GENERIC_COLUMNS:
                yield "cell", f"what is the {label}?"
                yield "cell", f"which {label} applies?"
                yield "cell", f"can you tell me the {label}?"
                continue
            if name.endswith(" by"):
                yield "cell", f"who is {label} {name}?"
                yield "cell", f"{label}: who is it {name}?"
            else:
                yield "cell", f"what is the {name} for {label}?"
                yield "cell", f"{label}, what {name} applies?"
                yield "cell", f"what {name} do I get for {label}?"
            yield "cell", f"{label} {name}?"
        return
    inner, _, given = item.partition(":")
    if given and find_values(given):
        word, unit = _asking(find_values(given)[0][0])
        yield "number", f"{word} {unit} do I get for {_lowered(inner)}?"
        yield "number", f"{_lowered(inner)}: {word} {unit}?"
        item = inner
    yield "list", f"{label.lower() if len(label) < 60 else topic}: is {_lowered(item)} included?"
    yield "list", f"does {topic} cover {_lowered(item)}?"
    yield "list", f"what about {_lowered(item)}?"
    yield "list", f"what does the policy say about {topic} and {_lowered(_shortened(item))}?"


def _topics(fact: Fact, topic: str, phrase: str) -> Iterator[tuple[str, str]]:
    """What always works: the clause's name and the fact's own rare words."""
    if phrase:
        yield from asked_in_every_style(phrase, fact.statement)
        if topic.lower() not in phrase.lower():
            yield "topic", f"what about {phrase} under {topic}?"
            yield "keywords", f"{topic} {phrase}"
            yield "topic", f"regarding {topic}, what applies to {phrase}?"
    for number, crop in enumerate(crops(fact.statement)):
        yield "crop", TOPIC_FORMS[number % len(TOPIC_FORMS)].format(_lowered(crop))
    content = [word for word in re.findall(r"\b[A-Za-z][\w'-]{2,}", fact.statement) if word.lower() not in STOPWORDS]
    if len(content) >= 3:
        yield "keywords", " ".join(content[:5]).lower()
        yield "keywords", " ".join(content[-5:]).lower()
    if len(content) >= 7:
        yield "keywords", " ".join(content[1:-1:2][:5]).lower()


def spoken(wording: Wording, rng: random.Random) -> Wording:
    """The same question as another person would type it: other words, no capital, no question mark, a greeting."""
    question = wording.question
    for known in sorted(SYNONYMS, key=len, reverse=True):
        found = re.search(rf"\b(?:(an?) )?{known}\b", question, re.IGNORECASE)
        if found and rng.random() < 0.35:
            put = rng.choice(SYNONYMS[known])
            article = f"{'an' if put[0] in 'aeiou' else 'a'} " if found[1] else ""
            question = question[: found.start()] + article + put + question[found.end() :]
    if rng.random() < 0.08:
        question = rng.choice(GREETINGS) + question[0].lower() + question[1:]
    if rng.random() < 0.15:
        question = question.lower()
    if rng.random() < 0.1:
        question = question.rstrip("?")
    return replace(wording, question=question)


def _asking(value: str) -> tuple[str, str]:
    """The question word and the unit a value answers to: "12 working days" -> ("how many", "working days")."""
    if re.search(r"[$€£]|USD|EUR|GBP|dollars|euros|pounds", value):
        return "how much", "money" if value.startswith(("$", "€", "£")) else ""
    if re.search(r"%|per ?cent", value):
        return "what", "percentage"
    if DATE.search(value):
        return "when", ""
    unit = re.sub(r"^\S+(?:\s?-\s?|\s)(?:\(\d+\)\s)?", "", value).strip()
    if not unit or re.search(r"[:\d]|\b(?:am|pm|[ap]\.m\.)", unit) or (value[0].isupper() and not unit.islower()):
        return "when", ""
    last = unit.split()[-1]
    return "how many", unit if last.endswith("s") or last in ("people",) else unit + "s"


def _of_part(after: str) -> tuple[str, str]:
    """ "of annual leave into the next year" -> ("of annual leave", "into the next year"); a bare noun counts as well."""
    cut = _STOP_OF.search(f" {after} ", 3 if after.startswith("of ") else 0)
    if not after or cut is None:
        return (after, "") if len(after.split()) <= 6 else ("", after)
    return after[: max(cut.start() - 1, 0)].strip(), after[max(cut.start() - 1, 0) :].strip()


def _shortened(text: str) -> str:
    """The first dozen words, cut at a comma or a connective where one stands."""
    cut = re.split(
        r",|;|\s(?:and|or|because|so that|in order to|which|where|including|as well as|except)\s", text, maxsplit=1
    )[0]
    words = cut.split()
    return " ".join(words[:12]) if len(words) >= 2 else " ".join(text.split()[:12])


def _infinitive(participle: str) -> str:
    """ "approved" -> "approve", by the list of verbs; the participle itself where the list does not know it."""
    for ending, put in (("ied", "y"), ("ed", "e"), ("ed", ""), ("ted", "")):
        if participle.endswith(ending) and participle[: -len(ending)] + put in VERBS:
            return participle[: -len(ending)] + put
    return participle


def _third(verb: str) -> str:
    if re.search(r"(?:s|sh|ch|x|z|o)$", verb):
        return verb + "es"
    return verb[:-1] + "ies" if re.search(r"[^aeiou]y$", verb) else verb + "s"


def _singular(auxiliary: str) -> str:
    return {"are": "is", "were": "was", "have": "has", "do": "does"}.get(auxiliary, auxiliary)


def _with(condition: str) -> str:
    return f" {condition}" if condition.lower().startswith(ASKABLE) else ""


def _lowered(text: str) -> str:
    return text[0].lower() + text[1:] if text[:1].isupper() and not text[1:2].isupper() else text


def _tidy(question: str) -> str:
    question = re.sub(r"\s+([?,.])", r"\1", " ".join(question.split()))
    question = re.sub(r"\bi\b", "I", question)
    return question[0].upper() + question[1:] if question else question


def vocabulary_of(texts: Sequence[str], proper: frozenset[str]) -> Vocabulary:
    """Count in how many of the texts each word stands."""
    seen: dict[str, int] = {}
    for text in texts:
        for word in set(re.findall(r"[a-z][\w'-]*", text.lower())):
            seen[word] = seen.get(word, 0) + 1
    return Vocabulary(proper, {word: log((1 + len(texts)) / n) for word, n in seen.items()})
