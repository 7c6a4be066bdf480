"""The page as tests meet it: the real app on a free port over a real workspace; only the models may be stand-ins."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gradio_client import Client

from engine import jobs
from engine.backends import ChatModel
from engine.generation import make_version
from engine.records import Adapter, DatasetVersion, Job
from engine.settings import Settings
from engine.tasks.policy_qa import POLICY_QA
from engine.workspace import Workspace
from tests.models import EchoModel

POLICY = """# Leave

## 1 Annual leave
Employees receive 25 days of annual leave a year. The HR Manager approves requests within 5 working days.
Unused leave of up to 4 days may be carried over until 31 March.

## 2 Sick leave
Employees must report sickness before 9 am. A medical certificate is required after 3 days.

## 3 Travel
Train journeys over 300 km may be booked in first class. The Travel Desk books all flights.
Receipts must be handed in within 30 days. Hotels may cost at most 120 euros a night.
"""


class StandInWorkspace(Workspace):
    """A workspace whose models are those it was given; the first is the base, the others count as adapters."""

    stand_ins: Sequence[ChatModel] = ()

    def adapters(self) -> list[Adapter]:
        card = {"config": {"preset": "quick"}, "minutes": 2}
        return [
            Adapter(model.name, "base", "", model.digest(), "2026-05-01", "leave:1", card)
            for model in self.stand_ins[1:]
        ]

    def model(self, name: str) -> ChatModel:
        return next((model for model in self.stand_ins if model.name == name), None) or super().model(name)


def stand_in_workspace(folder: Path, *models: ChatModel) -> StandInWorkspace:
    """An empty workspace in `folder` with these models: "base" and "tuned" where none are given."""
    workspace = StandInWorkspace.open(Settings(folder, folder / "models", 2), seed=0)
    assert isinstance(workspace, StandInWorkspace)
    workspace.stand_ins = models or (EchoModel("base", "I do not know that."), EchoModel("tuned", "You get 25 days."))
    return workspace


def add_policy(workspace: Workspace) -> DatasetVersion:
    """The little policy above as leave:1."""
    document = workspace.add_bytes("leave.md", POLICY.encode())
    return make_version(workspace.store, "leave", [document], task=POLICY_QA, now=workspace.now())


def made(workspace: Workspace, *, timeout_s: float = 120) -> Job:
    """The newest generation, once it runs no more."""
    deadline = time.monotonic() + timeout_s
    while (job := jobs.list_jobs(workspace.generations_dir)[0]).state == "running":
        assert time.monotonic() < deadline, f"{job.title} is still running"
        time.sleep(0.1)
    return job


@contextmanager
def served(workspace: Workspace) -> Iterator[str]:
    """The real page on a free port; its address."""
    from ui import shell

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = shell.open_page(workspace, port=port)
    try:
        yield str(page.local_url)
    finally:
        page.close(verbose=False)


@contextmanager
def visiting(workspace: Workspace) -> Iterator[Client]:
    """A visitor of the real page: one session, driven through the page's own events."""
    with served(workspace) as url:
        yield Client(url, verbose=False)
