"""What is live for a task, since when and why; and handing an adapter on as files."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.backends import ChatModel
from engine.errors import InvalidInput, Unavailable
from engine.records import Adapter, Decoding
from engine.refusing import elsewhere, setting
from engine.settings import PROJECT
from engine.store import Store
from engine.tasks import Task
from engine.workspace import BASE, Workspace

MODELFILE = PROJECT / "Modelfile"


def live_model(store: Store, task: str) -> str:
    """The name of the model that answers in Ask; the base until something is promoted."""
    history = store.promotions(task)
    return str(history[0]["model"]) if history else BASE


@dataclass(frozen=True)
class Grounds:
    """On what a promotion stands: the gate's verdict, the report it read, and why somebody went against it ("" where nobody did)."""

    verdict: str = ""
    evaluation_id: int | None = None
    override: str = ""


def promote(workspace: Workspace, task: Task, name: str, *, reason: str, grounds: Grounds | None = None) -> None:
    """
    Make `name` live and put it on record. Asks nobody: people promote through `evals.promotion`, which asks the gate first.

    Raises NotFound for a model that is not there, InvalidInput if it is live already.
    """
    model = workspace.model(name)
    if live_model(workspace.store, task.name) == name:
        raise InvalidInput(f'"{name}" is live already. Nothing was changed.')
    _record(workspace, task, "promote", model, reason, grounds)


def rollback(workspace: Workspace, task: Task, *, reason: str = "") -> str:
    """Go back to what was live before; returns its name. Raises InvalidInput when nothing was promoted."""
    live = _stack(workspace.store.promotions(task.name))
    if len(live) < 2:
        raise InvalidInput(f'Nothing is promoted over "{BASE}", so there is nothing to roll back to.')
    _record(workspace, task, "rollback", workspace.model(live[-2]), reason)
    return live[-2]


def _record(
    workspace: Workspace, task: Task, action: str, model: ChatModel, reason: str, grounds: Grounds | None = None
) -> None:
    now, digest = workspace.now(), model.digest()
    said = asdict(grounds or Grounds())
    workspace.store.add_promotion(
        task=task.name, action=action, model=model.name, digest=digest, reason=reason, now=now, **said
    )


def _stack(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was live under what, the base lowest: a promotion puts one on, a rollback takes one off."""
    stack = [BASE]
    for row in reversed(history):
        if row["action"] == "promote":
            stack.append(str(row["model"]))
        else:
            stack.pop()
    return stack


def hand_over(workspace: Workspace, adapter: Adapter, task: Task, out: Path) -> list[Path]:
    """
    Write a folder that `ollama create` and llama.cpp take as it is: base GGUF, adapter GGUF, filled Modelfile, card.

    Where the adapter's refusal is held back, the last two say that it is not so elsewhere (`refusing.elsewhere`).
    Raises InvalidInput when the folder holds other things, or the adapter stands on a base of which we hold no GGUF.
    """
    if adapter.base != BASE:
        raise InvalidInput(
            f'"{adapter.name}" stands on {adapter.base}, which is not kept here as GGUF. Use its folder {adapter.folder}.'
        )
    if out.exists() and any(out.iterdir()):
        raise InvalidInput(f"The folder {out} is not empty. Name a new one.")
    embedded, refuses = workspace.embedded(), elsewhere(setting(adapter, task))
    try:
        out.mkdir(parents=True, exist_ok=True)
        files = [out / "base-f16.gguf", out / "adapter.gguf", out / "Modelfile", out / "card.json"]
        shutil.copyfile(embedded.gguf, files[0])
        shutil.copyfile(Path(adapter.folder) / "adapter.gguf", files[1])
        modelfile = filled_modelfile(task, base="./base-f16.gguf", adapter="./adapter.gguf", refuses=refuses)
        files[2].write_text(modelfile, encoding="utf-8")
        card = {**adapter.card, "refuses": refuses} if refuses else adapter.card
        files[3].write_text(json.dumps(card, indent=1), encoding="utf-8")
    except OSError as problem:
        raise Unavailable(
            f"The folder {out} cannot be written ({problem.strerror or problem}). Free space or name another."
        ) from None
    return files


def copy_gguf(adapter: Adapter, out: Path) -> Path:
    """The adapter alone, for a llama.cpp that has the base. Raises InvalidInput rather than overwrite a file."""
    if out.exists():
        raise InvalidInput(f"{out} is there already. Name another file with --out.")
    try:
        shutil.copyfile(Path(adapter.folder) / "adapter.gguf", out)
    except OSError as problem:
        raise Unavailable(
            f"{out} cannot be written ({problem.strerror or problem}). Free space or name another."
        ) from None
    return out


def filled_modelfile(
    task: Task, *, base: str, adapter: str, decoding: Decoding | None = None, refuses: str = ""
) -> str:
    """
    The project's Modelfile with its blanks filled: FROM, ADAPTER, SYSTEM and the parameters answers are measured with.

    `refuses`: a sentence for those who read the file, on what is otherwise than it was measured.
    """
    decoding = decoding or Decoding()
    blanks: Mapping[str, Any] = {
        "base": base,
        "adapter": adapter,
        "system": task.system,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "top_k": decoding.top_k,
        "repeat_penalty": decoding.repeat_penalty,
        "num_predict": decoding.max_tokens,
        "refuses": f"\n# But for one thing. {refuses}" if refuses else "",
    }
    text = MODELFILE.read_text(encoding="utf-8")
    for name, value in blanks.items():
        text = text.replace("{" + name + "}", str(value))
    return text
