"""What teachers and judges were paid for, in the SQLite file."""

from engine.records import Call
from engine.store.connection import Connection

CALL = """
SELECT digest, model, prompt, reply, tokens_in, tokens_out
FROM teacher_calls
WHERE digest = ?
"""


class TeacherCalls(Connection):
    """What `Store` knows of finished calls."""

    def teacher_call(self, digest: str) -> Call | None:
        """The finished call of that digest, or None."""
        with self.reading() as db:
            return next((Call(**row) for row in db.query(CALL, [digest])), None)

    def add_teacher_call(self, call: Call, *, now: str) -> None:
        """Keep a call. One that is kept already stays as it is: it has been read from."""
        with self.writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO teacher_calls VALUES (?, ?, ?, ?, ?, ?, ?)",
                [call.digest, call.model, call.prompt, call.reply, call.tokens_in, call.tokens_out, now],
            )
