"""Several processes that take the steps of one run together: who they are, and what they must agree on. Worker only.

Each batch of the plan is shared out row by row, and each share's loss counts by its trained tokens, so that the gradient is
that of the whole batch: a run takes the same steps over the same rows however many processes take them. Process 0 alone
writes, saves and hears that somebody asked the run to stop.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as distributed
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState

from engine.errors import InvalidInput
from engine.jobs import Progress
from engine.records import JobState

Result = TypeVar("Result")


@dataclass(frozen=True)
class Team:
    """One process of `size`. Alone where nothing else is said."""

    rank: int = 0
    size: int = 1

    @classmethod
    def joined(cls, environ: Mapping[str, str] = os.environ) -> "Team":
        """
        The team that a launcher tells of by torch's variables, met: no process goes on before all are there.

        Raises InvalidInput for FSDP and DeepSpeed, which spread the weights themselves: what is saved here is whole.
        """
        team = cls(int(environ.get("RANK", 0)), int(environ.get("WORLD_SIZE", 1)))
        for name, variable in (("FSDP", "ACCELERATE_USE_FSDP"), ("DeepSpeed", "ACCELERATE_USE_DEEPSPEED")):
            if environ.get(variable, "false").lower() == "true":
                raise InvalidInput(
                    f"Your accelerate config asks for {name}, which spreads the model's weights over processes. Here each "
                    "process holds the frozen base whole: choose distributed_type MULTI_GPU, or a smaller base."
                )
        if team.size > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return team

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def first_the_leader(self, do: Callable[[], Result]) -> Result:
        """Done by process 0 before the others begin, so that they find what it wrote."""
        if self.size > 1 and not self.leads:
            distributed.barrier()
        result = do()
        if self.size > 1 and self.leads:
            distributed.barrier()
        return result

    def mean(self, value: Tensor) -> Tensor:
        """Over all processes, as averaged gradients are."""
        if self.size == 1:
            return value
        shared = value.detach().clone()
        distributed.all_reduce(shared)
        return shared / self.size

    def told(self, said: list[Any]) -> list[Any]:
        """What process 0 says, to all."""
        if self.size > 1:
            distributed.broadcast_object_list(said, src=0)
        return said


class Together(TrainerCallback):
    """After each step all do what process 0 has decided: save, stop, or go on."""

    def __init__(self, team: Team) -> None:
        self._team = team

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> TrainerControl:
        """Stands behind whatever decides."""
        control.should_training_stop, control.should_save = self._team.told(
            [control.should_training_stop, control.should_save]
        )
        return control


class Unheard(Progress):
    """The pen of a process that does not write."""

    def update(self, *, now: bool = False, **fields: Any) -> None:
        """Process 0 says it."""

    def point(self, **values: Any) -> None:
        """Process 0 says it."""

    def finish(self, state: JobState, message: str, **fields: Any) -> None:
        """Process 0 says it."""
