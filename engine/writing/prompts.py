"""What the question writer and the reader are asked, in training and in use alike: one function each."""

from engine.records import Message

WRITER = "Write the question that a person asks."
READER = "Answer from the text, in its words. If it does not say, answer: none"
NONE = "none"


def text_of(topic: str, statement: str) -> str:
    """What both read: a clause's name and what it says there, on one line."""
    said = " ".join(statement.split())
    return f"{topic}: {said}" if topic and not said.startswith(f"{topic}:") else said


def writer_messages(text: str, *, kind: str, span: str, voice: str) -> list[Message]:
    """
    `span`: the words that are to answer; "yes" or "no"; NONE for a question that the text does not answer; "" leaves it open.

    The text stands first, so that the many prompts over one text are read from the cache.
    """
    answer = f"\nanswer: {span}" if span else ""
    return [
        {"role": "system", "content": WRITER},
        {"role": "user", "content": f"{text}\nkind: {kind}{answer}\nvoice: {voice}"},
    ]


def reader_messages(text: str, question: str) -> list[Message]:
    """Answered by words of the text, by "yes" or "no" with the words that decide it, or by NONE."""
    return [{"role": "system", "content": READER}, {"role": "user", "content": f"{text}\nquestion: {question}"}]


def reading(span: str, polarity: str = "") -> str:
    """What the reader is to answer; the parts of a list, a line each, are told one after the other."""
    said = "; ".join(" ".join(line.split()).rstrip(";") for line in span.split("\n"))
    return f"{polarity}: {said}" if polarity else said
