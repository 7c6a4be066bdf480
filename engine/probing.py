"""The probe itself: the model in training answers some questions, and the best of its steps is set aside. Imported by the worker only.

Asking changes nothing of the run: no random number is drawn, no weight touched, and the losses after it are those of a run
that is asked nothing (tests/test_probing.py). Answers are greedy and short.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file

from engine.adapters import WEIGHTS
from engine.probes import (
    EVERYDAY_ANSWERS,
    Item,
    Probe,
    add_probe,
    best,
    everyday_questions,
    forgotten,
    marked,
    read_probes,
)
from engine.prompts import ChatTemplate, load_chat_template, load_tokenizer, render
from engine.records import Message
from engine.shared_prefix import common_prefix

LONGEST_ANSWER = 40  # tokens; an answer cut off there is no recital either
EVERYDAY_ANSWER = 12
AT_ONCE = 32
BEST = "best"
Done = Callable[[], bool]
Ask = Callable[[PeftModel, Sequence[Sequence[Message]], Done], list[str] | None]
"""Model, conversations and whether to give up -> an answer each; None when it was given up."""
Save = Callable[[PeftModel, Path], None]


def never() -> bool:
    """For whoever waits for the answers."""
    return False


class Asker:
    """Asks a model under training, many questions at a time."""

    def __init__(self, base: Path, *, max_tokens: int = LONGEST_ANSWER) -> None:
        """`base` is the folder with tokenizer and template."""
        self._template, self._tokenizer = load_chat_template(base), load_tokenizer(base / "tokenizer.json")
        self._max_tokens = max_tokens

    def __call__(
        self, model: PeftModel, questions: Sequence[Sequence[Message]], given_up: Done = never
    ) -> list[str] | None:
        """One answer a conversation, in their order; None when it was given up meanwhile."""
        prompts = [self._ids(messages, self._template) for messages in questions]
        by_length = sorted(range(len(prompts)), key=lambda n: len(prompts[n]))
        answers = [""] * len(prompts)
        with _answering(model):
            for start in range(0, len(by_length), AT_ONCE):
                chosen = by_length[start : start + AT_ONCE]
                said = self._answer(model, [prompts[n] for n in chosen], given_up)
                if said is None:
                    return None
                for n, tokens in zip(chosen, said, strict=True):
                    answers[n] = self._tokenizer.decode(tokens).strip()
        return answers

    def _ids(self, messages: Sequence[Message], template: ChatTemplate) -> list[int]:
        ids: list[int] = self._tokenizer.encode(render(messages, template=template), add_special_tokens=False).ids
        return ids

    def _answer(self, model: PeftModel, prompts: Sequence[Sequence[int]], given_up: Done) -> list[list[int]] | None:
        """Greedy token ids of a batch, each up to its end of turn. What all prompts begin with is read once."""
        end = self._tokenizer.token_to_id(self._template.eos)
        shared = common_prefix([tuple(ids) for ids in prompts])
        past: Any = None
        if shared:
            first = torch.tensor([list(prompts[0][:shared])], device=model.device)
            past = model(input_ids=first, use_cache=True, logits_to_keep=1).past_key_values
            past.batch_repeat_interleave(len(prompts))
        longest = max(map(len, prompts)) - shared
        padded = [[end] * (longest - len(ids) + shared) + list(ids[shared:]) for ids in prompts]
        real = [[1] * shared + [0] * (longest - len(ids) + shared) + [1] * (len(ids) - shared) for ids in prompts]
        fresh, mask = torch.tensor(padded, device=model.device), torch.tensor(real, device=model.device)
        said: list[list[int]] = [[] for _ in prompts]
        unfinished = torch.ones(len(prompts), dtype=torch.bool, device=model.device)
        for _ in range(self._max_tokens):
            if given_up():
                return None
            positions = (mask.cumsum(-1) - 1)[:, -fresh.shape[1] :].clamp(min=0)
            out = model(
                input_ids=fresh, attention_mask=mask, position_ids=positions, past_key_values=past, use_cache=True,
                logits_to_keep=1,
            )  # fmt: skip
            past = out.past_key_values
            fresh = out.logits[:, -1].argmax(-1, keepdim=True)
            unfinished &= fresh[:, 0] != end
            if not bool(unfinished.any()):
                break
            for n in unfinished.nonzero()[:, 0].tolist():
                said[n].append(int(fresh[n, 0]))
            mask = torch.cat([mask, torch.ones_like(fresh)], dim=1)
        return said


class Prober:
    """Asks the probe after some steps, and keeps the weights of the best of them in the run's folder."""

    def __init__(
        self,
        folder: Path,
        items: Sequence[Item],
        ask: Ask,
        *,
        every: int = 0,
        why_not: str = "",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`items` as `probes.probe_items` gives them; none: nothing is ever asked, and `why_not` says why."""
        self.why_not, self._clock = why_not, clock
        self._folder, self._items, self._ask, self.every = folder, items, ask, every
        self._probes = read_probes(folder)

    @property
    def first(self) -> Probe | None:
        """The untouched model's."""
        return self._probes[0] if self._probes else None

    @property
    def latest(self) -> Probe | None:
        """The newest probe; None where none was taken."""
        return self._probes[-1] if self._probes else None

    @property
    def probe_s(self) -> float:
        """What a probe takes: the dearest so far, which is mostly the first."""
        return max((probe.seconds for probe in self._probes), default=0.0)

    def left(self, step: int, steps: int) -> int:
        """How many are still to come in a run of so many steps."""
        return (steps - 1) // self.every - step // self.every + 1 if self._items and self.every else 0

    def due(self, step: int) -> bool:
        """Whether this step is one to probe after; after the last one, whoever trains asks anyway."""
        return bool(self._items and self.every and step % self.every == 0)

    def ask(self, model: PeftModel, step: int, *, save: Save | None = None, given_up: Done = never) -> Probe | None:
        """
        The probe of that step, taken now unless it is there; with `save`, the weights are kept when none scored higher.

        None where there is nothing to ask, or it was given up. Raises OSError when the disk refuses.
        """
        if not self._items:
            return None
        if self._probes and self._probes[-1].step == step:
            return self._probes[-1]
        began = self._clock()
        answers = self._ask(model, [row["messages"] for row in self._items], given_up)
        if answers is None:
            return None
        probe = marked(step, self._items, answers, seconds=self._clock() - began)
        self._probes.append(probe)
        if save and best(self._at_hand(step)) is probe:
            _set_aside(self._folder / BEST / str(step), lambda place: save(model, place))
        add_probe(self._folder, probe)
        return probe

    def is_best(self, probe: Probe) -> bool:
        """Whether none so far scored higher."""
        return best(self._probes) is probe

    def keep_best(self, model: PeftModel, step: int) -> Probe | None:
        """Put the best step's weights into the model, which stands at `step`. None where nothing was asked: it stays as it is."""
        found = best(self._at_hand(step))
        if found and found.step != step:
            set_peft_model_state_dict(model, load_file(self._folder / BEST / str(found.step) / WEIGHTS))
        return found

    def _at_hand(self, step: int) -> list[Probe]:
        """Those whose weights are there: set aside, or in the model, which stands at `step`."""
        return [
            probe for probe in self._probes if probe.step == step or (self._folder / BEST / str(probe.step)).is_dir()
        ]


def ask_everyday(folder: Path, model: PeftModel, ask: Ask, *, when: str) -> None:
    """Everyday questions, answered "before" or "after" training, into the run's folder. Raises OSError when the disk refuses."""
    path = folder / EVERYDAY_ANSWERS
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    began = time.perf_counter()
    answers = ask(model, [[{"role": "user", "content": row["question"]}] for row in everyday_questions()], never)
    known |= {when: answers, f"{when}_s": round(time.perf_counter() - began, 2)}
    path.write_text(json.dumps(known, ensure_ascii=False) + "\n", encoding="utf-8")


def everyday_card(folder: Path) -> dict[str, Any] | None:
    """The card's word on what was forgotten; None where it was not asked on both sides."""
    path = folder / EVERYDAY_ANSWERS
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return forgotten(known["before"], known["after"]) if {"before", "after"} <= set(known) else None


@contextmanager
def _answering(model: PeftModel) -> Iterator[None]:
    """The model as it answers: no dropout, no gradients, the library's own attention; afterwards as it was."""
    inner: Any = model.get_base_model()
    was, training = inner.config._attn_implementation, model.training
    model.eval()
    inner.set_attn_implementation("sdpa")
    try:
        with torch.inference_mode():
            yield
    finally:
        inner.set_attn_implementation(was)
        model.train(training)


def _set_aside(place: Path, save: Callable[[Path], None]) -> None:
    """Save the best weights whole, and only then forget those before."""
    draft = place.with_name(f".{place.name}")
    shutil.rmtree(draft, ignore_errors=True)
    save(draft)
    shutil.rmtree(place, ignore_errors=True)
    draft.rename(place)
    for other in place.parent.iterdir():
        if other != place:
            shutil.rmtree(other, ignore_errors=True)
