"""transformers + PEFT: the second engine, for any Hugging Face model, and the reference the first is compared with.

Slower than llama.cpp here (FINDINGS: 25 against 89 tokens/s), and it needs no conversion. The base is in memory
once: the base's arm switches the adapter off for as long as it answers, so one answer is made at a time.
torch, transformers and peft are imported by the first question, never by importing this module.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal

from engine.backends import REPEAT_WINDOW, Schema, Stream, digest_with, patient_threads
from engine.errors import InvalidInput, NotFound, TouchstoneError, Unavailable
from engine.prompts import ChatTemplate, load_chat_template, load_tokenizer, render
from engine.records import Decoding, Message, Reply

if TYPE_CHECKING:
    from torch import Generator as Dice
    from torch import Tensor

Precision = Literal["bfloat16", "float32"]
"""Of the arithmetic, not of the stored weights. Against llama.cpp's F16, 16 greedy answers of 24 tokens with a random
adapter: float32 gives 14 the same (the others part at ties), bfloat16 gives 7. Compare engines in float32."""

ALSO_END = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>")
"""Ends of text to llama.cpp wherever a vocabulary has them; the same here, so that both engines stop alike."""


@dataclass
class TransformersEngine:
    """A base model (a folder, or a Hugging Face id already downloaded) and at most one PEFT adapter over it."""

    source: str
    adapter: Path | None = None
    precision: Precision = "bfloat16"
    _lock: RLock = field(default_factory=RLock, repr=False)

    def model(
        self, name: str, *, tuned: bool = False, handicap: float = 0.0, refusal_token: int = 0
    ) -> "TransformersModel":
        """
        The base's arm, or with `tuned` the adapter's. Costs nothing until it is asked something.

        `handicap`: the nats by which `refusal_token`, with which refusals begin, is held back.
        """
        if tuned and self.adapter is None:
            raise InvalidInput(f"{name} was asked for with an adapter, but none was given. Name the adapter's folder.")
        return TransformersModel(name, self, tuned, handicap, refusal_token)

    @cached_property
    def folder(self) -> Path:
        """Where the base lies on this disk. Nothing is downloaded: an id must be in the Hugging Face cache already."""
        if (Path(self.source) / "config.json").is_file():
            return Path(self.source)
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            return Path(snapshot_download(self.source, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError):
            raise NotFound(
                f"There is no model {self.source} on this machine. Name a model folder, or download it first with: "
                f"hf download {self.source}"
            ) from None

    @cached_property
    def template(self) -> ChatTemplate:
        return load_chat_template(self.folder)

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end an answer."""
        tokenizer = load_tokenizer(self.folder / "tokenizer.json")
        names = {*ALSO_END, self.template.eos} - {""}
        return frozenset(token for name in names if (token := tokenizer.token_to_id(name)) is not None)

    @cached_property
    def network(self) -> Any:
        """The torch module, its weights widened to float32 where that precision is asked for."""
        with patient_threads():
            import torch
        from transformers import AutoModelForCausalLM

        network: Any
        try:
            network = AutoModelForCausalLM.from_pretrained(
                self.folder, dtype=getattr(torch, self.precision), local_files_only=True
            )
        except (OSError, ValueError) as error:
            raise Unavailable(f"The model {self.source} cannot be loaded: {error}") from error
        if self.adapter is not None:
            if not (self.adapter / "adapter_config.json").is_file():  # peft would look for it on the hub
                raise NotFound(f"There is no adapter in {self.adapter}. Train it again, or choose another model.")
            from peft import PeftModel

            try:
                network = PeftModel.from_pretrained(network, str(self.adapter))
            except (OSError, ValueError, RuntimeError) as error:
                raise InvalidInput(
                    f"The adapter in {self.adapter} does not fit {self.source} ({error}). Train it again."
                ) from error
        return network.eval()

    @contextmanager
    def arm(self, *, tuned: bool) -> Iterator[Any]:
        """The network as one arm, for one caller at a time."""
        with self._lock:
            network = self.network
            with network.disable_adapter() if self.adapter and not tuned else nullcontext():
                yield network

    def close(self) -> None:
        """Give the memory back; a later question loads the model again."""
        with self._lock:
            self.__dict__.pop("network", None)


@dataclass(frozen=True)
class TransformersModel:
    """One arm of a TransformersEngine."""

    name: str
    engine: TransformersEngine
    tuned: bool = False
    handicap: float = 0.0
    refusal_token: int = 0

    def stream(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Stream:
        """The answer piece by piece; other askers of this engine wait until it is finished or closed."""
        ids = self._prompt_ids(messages, decoding, schema)
        tokenizer = load_tokenizer(self.engine.folder / "tokenizer.json")
        started = time.perf_counter()
        first_token_ms, said, out = 0.0, "", []
        with self.engine.arm(tuned=self.tuned) as network:
            held_back = {self.refusal_token: self.handicap} if self.handicap > 0 else {}
            for token in _generate(network, ids, decoding, self.engine.end_ids, held_back):
                first_token_ms = first_token_ms or _ms_since(started)
                out.append(token)
                text = tokenizer.decode(out)
                if not text.endswith("\N{REPLACEMENT CHARACTER}"):  # half of a character: wait for the rest
                    piece, said = text[len(said) :], text
                    if piece:
                        yield piece
        rest = tokenizer.decode(out)[len(said) :]
        if rest:
            yield rest
        return Reply(said + rest, self.name, len(out), _ms_since(started), first_token_ms)

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        """The whole answer. Raises `InvalidInput` when it does not fit the context or a schema is asked for."""
        pieces = self.stream(messages, decoding, schema=schema)
        while True:
            try:
                next(pieces)
            except StopIteration as finished:
                answer: Reply = finished.value
                return answer

    def next_token_logprobs(self, messages: Sequence[Message], answer: str) -> list[float]:
        """Log probability (natural) of each token of `answer` after the prompt, as trained: what two engines are compared on."""
        import torch

        wanted, found = replace(self, handicap=0.0).next_token_distributions(messages, answer)
        chosen = found[:-1].gather(1, torch.tensor(wanted)[:, None])
        return [float(value) for value in chosen[:, 0]]

    def next_token_distributions(self, messages: Sequence[Message], answer: str) -> "tuple[list[int], Tensor]":
        """
        The tokens of `answer`, and (tokens + 1, vocabulary) log probabilities: before each of them, and after the last.

        In float64 and without the repetition penalty; the first row with the refusal held back. Raises InvalidInput when
        it does not fit the context.
        """
        import torch

        tokenizer = load_tokenizer(self.engine.folder / "tokenizer.json")
        wanted: list[int] = tokenizer.encode(answer, add_special_tokens=False).ids
        prompt = self._prompt_ids(messages, Decoding(max_tokens=len(wanted)), None)
        with self.engine.arm(tuned=self.tuned) as network, torch.inference_mode():
            logits = network(torch.tensor([prompt + wanted])).logits[0, len(prompt) - 1 :].double()
            if self.handicap > 0:
                logits[0, self.refusal_token] -= self.handicap
            return wanted, torch.log_softmax(logits, -1)

    def health(self) -> str:
        """Loads the model if need be; the sentence says why it cannot answer."""
        try:
            with self.engine.arm(tuned=self.tuned):
                return ""
        except TouchstoneError as error:
            return str(error)

    def digest(self) -> str:
        """Over the base's weight files and template, the adapter's weights and settings if this arm has one, and its handicap."""
        folder = self.engine.folder
        files = [*sorted(folder.glob("*.safetensors")), folder / "config.json", folder / "tokenizer.json"]
        if self.tuned and self.engine.adapter is not None:
            files += [self.engine.adapter / "adapter_model.safetensors", self.engine.adapter / "adapter_config.json"]
        whole = hashlib.sha256(self.engine.template.source.encode())
        for path in files:
            try:
                with path.open("rb") as file:
                    whole.update(hashlib.file_digest(file, "sha256").digest())
            except OSError:
                raise NotFound(f"{path} is not there. Choose the model's folder again.") from None
        return digest_with(whole.hexdigest(), self.handicap, self.refusal_token)

    def _prompt_ids(self, messages: Sequence[Message], decoding: Decoding, schema: Schema | None) -> list[int]:
        if schema is not None:
            raise InvalidInput(
                f"{self.name} runs on transformers, which cannot hold an answer to a JSON schema here. "
                "Use the embedded model, an adapter of it, or Ollama."
            )
        prompt = render(messages, template=self.engine.template)
        tokenizer = load_tokenizer(self.engine.folder / "tokenizer.json")
        ids: list[int] = tokenizer.encode(prompt, add_special_tokens=False).ids
        config = json.loads((self.engine.folder / "config.json").read_text(encoding="utf-8"))
        context = int(config.get("max_position_embeddings", 2048))
        if len(ids) + decoding.max_tokens > context:
            raise InvalidInput(
                f"The question is too long: {len(ids)} tokens with its instructions and sources, and up to "
                f"{decoding.max_tokens} for the answer, make {len(ids) + decoding.max_tokens} where {context} fit. "
                "Shorten it, or ask for a shorter answer."
            )
        return ids


def _generate(
    network: Any, prompt: Sequence[int], decoding: Decoding, end_ids: frozenset[int], held_back: Mapping[int, float]
) -> Iterator[int]:
    """
    Token ids until an end token or `max_tokens`; a plain loop, so that a closed generator computes nothing more.

    `held_back`: of tokens at the first position, the nats by which each is.
    """
    import torch

    dice = torch.Generator().manual_seed(decoding.seed)
    seen, fresh, past = list(prompt), list(prompt), None
    for _ in range(decoding.max_tokens):
        with torch.inference_mode():
            out = network(torch.tensor([fresh]), past_key_values=past, use_cache=True, logits_to_keep=1)
            past = out.past_key_values
            logits = out.logits[0, -1].float()
            if len(seen) == len(prompt):
                for refusal, nats in held_back.items():
                    logits[refusal] -= nats
            token = _choose(logits, seen, decoding, dice)
        if token in end_ids:
            return
        seen.append(token)
        fresh = [token]
        yield token


def _choose(logits: "Tensor", seen: Sequence[int], decoding: Decoding, dice: "Dice") -> int:
    """llama.cpp's order: repetition penalty over the last tokens, then top_k, top_p, temperature; 0 takes the best."""
    import torch

    recent = torch.tensor(sorted(set(seen[-REPEAT_WINDOW:])))
    scores = logits[recent]
    penalty = decoding.repeat_penalty
    logits[recent] = torch.where(scores > 0, scores / penalty, scores * penalty)
    if decoding.temperature <= 0:
        return int(logits.argmax())
    best = torch.topk(logits, min(decoding.top_k, len(logits)) if decoding.top_k > 0 else len(logits))
    likely = torch.softmax(best.values, -1)
    kept = max(1, int((likely.cumsum(-1) - likely < decoding.top_p).sum()))
    chances = torch.softmax(best.values[:kept] / decoding.temperature, -1)
    return int(best.indices[torch.multinomial(chances, 1, generator=dice)])


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
