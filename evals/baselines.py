"""What a model must beat: the sentence of the policy that shares most with the question, by BM25 and no model at all."""

from collections.abc import Sequence
from hashlib import blake2b

from engine.backends import Schema, Stream
from engine.records import Decoding, Document, Message, Reply
from engine.search import Index
from engine.sentences import sentences


class BestSentence:
    """Answers every question with one sentence of the documents, found as the clauses of a prompt are; a ChatModel that never refuses."""

    name = "best BM25 sentence"

    def __init__(self, documents: Sequence[Document]) -> None:
        passages = [passage for document in documents for passage in document.passages]
        said = [(f"{p.lead_in} {sentence}".strip(), p.clause) for p in passages for sentence in sentences(p.text)]
        self._index = Index((sentence, clause, sentence) for sentence, clause in said)

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        """The best sentence; "" where no word of the question stands in any."""
        return Reply(next(iter(self._index.best(messages[-1]["content"], limit=1)), ""), self.name)

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
