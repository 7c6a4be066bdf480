"""What a model must beat: answerers that need no training, such as the sentence of the policy that BM25 finds for the question."""

import json
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

from engine.backends import Schema, Stream
from engine.records import Decoding, Document, Message, Question, Reply
from engine.search import Index
from engine.sentences import sentences
from engine.tasks import Task
from evals.grading import gold_of


class BestSentence:
    """Answers every question with one sentence of the documents, found as the clauses of a prompt are; a ChatModel that never refuses."""

    name = "best BM25 sentence"

    def __init__(self, documents: Sequence[Document]) -> None:
        passages = [passage for document in documents for passage in document.passages]
        said = [(f"{p.lead_in} {sentence}".strip(), p.clause) for p in passages for sentence in sentences(p.text)]
        self._index = Index((sentence, clause, sentence) for sentence, clause in said)

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        """The best sentence; "" where no word of the question stands in any."""
        return Reply(self.sentence(messages[-1]["content"]), self.name)

    def sentence(self, question: str) -> str:
        """The same for the bare question."""
        return next(iter(self._index.best(question, limit=1)), "")

    def stream(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Stream:
        """In one piece."""
        reply = self.reply(messages, decoding, schema=schema)
        yield reply.text
        return reply

    def health(self) -> str:
        """Always well: there is nothing to load."""
        return ""

    def digest(self) -> str:
        """Of what it may say."""
        return blake2b("\n".join(self._index.shown).encode(), digest_size=16).hexdigest()


ALWAYS_REFUSE, COMMONEST = "always refuse", "commonest answer"


def trivial_answers(
    asked: Sequence[tuple[str, Question]], task: Task, documents: Sequence[Document]
) -> dict[str, list[str]]:
    """
    What each answerer that needs no training says to the same questions, by its name; only those that the task allows.

    `asked`: the words and the row of each. The commonest answer is counted in the wanted answers themselves, so it is as good as
    any constant can be.
    """
    wanted = Counter(_wanted(question) for _, question in asked)
    wanted.pop(task.refusal, None)
    wanted.pop("", None)
    said: dict[str, list[str]] = {}
    if task.refusal:
        said[ALWAYS_REFUSE] = [task.refusal] * len(asked)
    if wanted:
        (commonest, _), *_ = sorted(wanted.items(), key=lambda item: (-item[1], item[0]))
        said[COMMONEST] = [commonest] * len(asked)
    if documents and task.answer_kind == "free_text":
        best = BestSentence(documents)
        said[BestSentence.name] = [best.sentence(words) for words, _ in asked]
    return said


def _wanted(question: Question) -> str:
    expected = question.extra.get("expected")
    if expected is None:
        return gold_of(question)
    return expected if isinstance(expected, str) else json.dumps(expected, ensure_ascii=False)
