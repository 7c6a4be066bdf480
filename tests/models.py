"""Small models that keep the ChatModel Protocol, for promises that are not about what a language model says."""

import json
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Event

from engine.backends import ChatModel, Schema, Stream
from engine.errors import Unavailable
from engine.records import Decoding, Message, Reply

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tiny_base(folder: Path, *, family: str = "Llama", template: str = CHATML, bos: bool = False) -> Path:
    """
    A base folder as Hugging Face lays it out: bytes for tokens, two layers of random weights.

    `family`: Llama, Mistral, Qwen2 or Qwen3. With `bos`, its tokenizer begins every text with <s>, as Llama's do.
    """
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    folder.mkdir(parents=True, exist_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(["<s>"] if bos else [])]
    vocabulary = {token: n for n, token in enumerate(special + alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
        )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<s>" if bos else "<|im_start|>", "eos_token": "<|im_end|>", "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=512,
        initializer_range=0.2,
    )
    getattr(transformers, f"{family}ForCausalLM")(config).save_pretrained(folder)
    return folder


def drained(stream: Stream) -> Reply:
    """What a stream returns when it is read to its end."""
    while True:
        try:
            next(stream)
        except StopIteration as ended:
            reply: Reply = ended.value
            return reply


@dataclass
class EchoModel:
    """Says its answer, or the question where it has none, word by word; remembers what it was asked."""

    name: str
    answer: str | None = None
    answers: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    weights: str = ""  # another model under the same name has others

    def stream(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Stream:
        question = messages[-1]["content"]
        self.asked.append(question)
        text = self.answers.get(question, question if self.answer is None else self.answer)
        pieces = re.findall(r"\s*\S+|\s+", text)
        yield from pieces
        return Reply(text, self.name, len(pieces), 1.0, 0.5)

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        return drained(self.stream(messages, decoding, schema=schema))

    def health(self) -> str:
        return ""

    def digest(self) -> str:
        return sha256((self.weights or self.name).encode()).hexdigest()


@dataclass
class FailingModel:
    """Says a few words and then what is wrong: by an error, or in the Reply when `politely`."""

    name: str
    words: int = 0
    problem: str = "The model server does not answer. Start it and ask again."
    politely: bool = False

    def stream(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Stream:
        for number in range(self.words):
            yield f"word{number} "
        if not self.politely:
            raise Unavailable(self.problem)
        return Reply("half an answer", self.name, error=self.problem)

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        return drained(self.stream(messages, decoding, schema=schema))

    def health(self) -> str:
        return self.problem

    def digest(self) -> str:
        return sha256(self.name.encode()).hexdigest()


@dataclass
class SlowModel:
    """Never comes to an end by itself: a word each `pause_s`, until its stream is closed."""

    name: str
    pause_s: float = 0.005
    closed: Event = field(default_factory=Event)
    said: int = 0

    def stream(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Stream:
        try:
            while self.said < 100_000:
                time.sleep(self.pause_s)
                self.said += 1
                yield "on "
        finally:
            self.closed.set()
        return Reply("on " * self.said, self.name)

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        return drained(self.stream(messages, decoding, schema=schema))

    def health(self) -> str:
        return ""

    def digest(self) -> str:
        return sha256(self.name.encode()).hexdigest()


@dataclass
class PacedModel:
    """Says between `fewest` and `most` words, by the question and its own name alone, a word each `pause_s` after `first_s`."""

    name: str
    pause_s: float
    first_s: float = 0.0
    fewest: int = 4
    most: int = 24

    def stream(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Stream:
        drawn = random.Random(f"{self.name}/{messages[-1]['content']}")
        words = [
            drawn.choice(("leave", "days", "month", "manager", "form"))
            for _ in range(drawn.randint(self.fewest, self.most))
        ]
        time.sleep(self.first_s)
        for word in words:
            time.sleep(self.pause_s)
            yield f"{word} "
        return Reply(" ".join(words), self.name, len(words))

    def reply(self, messages: Sequence[Message], decoding: Decoding, *, schema: Schema | None = None) -> Reply:
        return drained(self.stream(messages, decoding, schema=schema))

    def health(self) -> str:
        return ""

    def digest(self) -> str:
        return sha256(self.name.encode()).hexdigest()


KEEPS_THE_PROTOCOL: tuple[ChatModel, ...] = (
    EchoModel("echo"),
    FailingModel("failing"),
    SlowModel("slow"),
    PacedModel("paced", 0.01),
)
"""Read by the type checker: those above are chat models in every method and type."""
