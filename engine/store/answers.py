"""What models answered, in the SQLite file: each answer once."""

from engine.records import Reply
from engine.store.connection import Connection

ANSWER = """
SELECT text, model, tokens_out, latency_ms, first_token_ms, tokens_in
FROM answers
WHERE model_digest = ? AND prompt_digest = ? AND decoding = ?
"""

KEEP = """
INSERT INTO answers (model_digest, prompt_digest, decoding, model, text, tokens_in, tokens_out, latency_ms, first_token_ms, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (model_digest, prompt_digest, decoding) DO UPDATE
SET model = excluded.model,
    text = excluded.text,
    tokens_in = excluded.tokens_in,
    tokens_out = excluded.tokens_out,
    latency_ms = excluded.latency_ms,
    first_token_ms = excluded.first_token_ms,
    created_at = excluded.created_at
"""


class Answers(Connection):
    """What `Store` knows of answers."""

    def answer(self, model_digest: str, prompt_digest: str, decoding: str) -> Reply | None:
        """The answer kept under these three, or None."""
        with self.reading() as db:
            return next((Reply(**row) for row in db.query(ANSWER, [model_digest, prompt_digest, decoding])), None)

    def keep_answer(self, model_digest: str, prompt_digest: str, decoding: str, reply: Reply, *, now: str) -> None:
        """Keep an answer; the one kept before gives way."""
        numbers = [reply.tokens_in, reply.tokens_out, reply.latency_ms, reply.first_token_ms]
        with self.writing() as db:
            db.execute(KEEP, [model_digest, prompt_digest, decoding, reply.model, reply.text, *numbers, now])
