"""The SQLite file. This package and the migrations are all that knows its columns."""

from dataclasses import dataclass

from engine.store.answers import Answers
from engine.store.battles import Battles
from engine.store.datasets import Datasets
from engine.store.documents import Documents
from engine.store.people import People
from engine.store.reviews import Reviews
from engine.store.tallies import Tallies
from engine.store.teacher_calls import TeacherCalls


@dataclass(frozen=True)
class Store(Documents, Datasets, People, Tallies, TeacherCalls, Answers, Battles, Reviews):
    """One SQLite file in WAL mode. A connection per call: Gradio runs handlers on many threads."""
