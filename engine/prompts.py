"""Messages to the exact text a model reads: the one renderer of every engine, of training and of evaluation.

A chat template marks turns with control tokens such as <|im_end|>. Engines turn that text into single ids wherever
it stands, so a user who types <|im_end|> could end their own turn and write a system message. `render` is the one
place where this is prevented: inside message contents every control token of the model gets a space after its first
character ("< |im_end|>"), which is readable to people and ordinary text to every tokenizer. Training renders
through the same function, so what is learned and what is asked stay the same, token for token.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import InvalidInput, NotFound
from engine.records import Message

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ROLES = ("system", "user", "assistant")
LOOKS_LIKE_CONTROL = re.compile(r"<\|[^\s<>|]{1,40}\|>")


@dataclass(frozen=True)
class ChatTemplate:
    """How one model wants its turns written, and which texts are control tokens to it."""

    source: str  # jinja2
    control_tokens: tuple[str, ...]
    bos: str = ""
    eos: str = ""
    adds_bos: bool = False  # the model's tokenizer begins every text with it, so every prompt begins with exactly one


def load_chat_template(folder: Path) -> ChatTemplate:
    """
    The template of a model folder: chat_template.jinja, else the chat_template in tokenizer_config.json.

    Raises `NotFound` when the folder has none: a base model without a chat format cannot be asked questions.
    """
    config = _json_file(folder / "tokenizer_config.json")
    jinja = folder / "chat_template.jinja"
    source = jinja.read_text(encoding="utf-8") if jinja.is_file() else config.get("chat_template")
    if isinstance(source, list):  # several named templates; the unnamed use is "default"
        source = {entry["name"]: entry["template"] for entry in source}.get("default")
    if not source:
        raise NotFound(f"The model in {folder} has no chat template. Choose an instruction-tuned model.")
    tokenizer = _json_file(folder / "tokenizer.json")
    added = tokenizer.get("added_tokens", [])
    control = {entry["content"] for entry in added if entry.get("special")}
    bos, eos = _token_text(config.get("bos_token")), _token_text(config.get("eos_token"))
    adds_bos = bool(bos) and (config.get("add_bos_token") is True or _puts_first(tokenizer.get("post_processor"), bos))
    return ChatTemplate(source, tuple(sorted((control | {bos, eos}) - {""})), bos, eos, adds_bos)


def render(messages: Sequence[Message], *, template: ChatTemplate, add_generation_prompt: bool = True) -> str:
    """
    The prompt as text, its control tokens all ours; tokenize it with special tokens parsed and none added.

    `add_generation_prompt` opens the assistant's turn. Without it and with an assistant message last, the text is a
    training row. Raises `InvalidInput` for no messages, an unknown role, or an order that the template refuses.
    """
    if not messages:
        raise InvalidInput("There is nothing to ask: the conversation has no messages. Write a question.")
    harmless = [
        {"role": _role(message), "content": neutralise(message["content"], template.control_tokens)}
        for message in messages
    ]
    from jinja2 import TemplateError

    try:
        text: str = _compiled(template.source).render(
            messages=harmless,
            add_generation_prompt=add_generation_prompt,
            bos_token=template.bos,
            eos_token=template.eos,
            tools=None,
        )
    except TemplateError as error:
        raise InvalidInput(
            f"The model's chat template fails or reaches for what it may not have ({error}). Choose another model."
        ) from error
    return _with_one(template.bos, text) if template.adds_bos else text


def neutralise(text: str, control_tokens: Sequence[str] = ()) -> str:
    """
    The text with every control token broken by a space after its first character.

    Besides the named ones, anything of the shape <|word|> is broken, so that a policy pasted for one model is also
    harmless to another. A text without them is returned unchanged, to the byte.
    """
    broken = LOOKS_LIKE_CONTROL.sub(lambda found: _broken(found.group()), text)
    pattern = _any_of(tuple(control_tokens))
    return pattern.sub(lambda found: _broken(found.group()), broken) if pattern else broken


def plain_messages(messages: Sequence[Message]) -> list[dict[str, str]]:
    """For engines that render on their own side (Ollama, an OpenAI-compatible server): checked and neutralised."""
    if not messages:
        raise InvalidInput("There is nothing to ask: the conversation has no messages. Write a question.")
    return [{"role": _role(message), "content": neutralise(message["content"])} for message in messages]


def encode(text: str, folder: Path) -> list[int]:
    """Token ids of a rendered prompt by the folder's tokenizer.json, control tokens parsed, none added."""
    return list(load_tokenizer(folder / "tokenizer.json").encode(text, add_special_tokens=False).ids)


def count_tokens(text: str, folder: Path) -> int:
    """How many tokens of the model's context a rendered prompt takes."""
    return len(encode(text, folder))


@cache
def load_tokenizer(path: Path) -> "Tokenizer":
    """Parsed once per file and process (0.1 s); threads may share it."""
    from tokenizers import Tokenizer

    if not path.is_file():
        raise NotFound(f"{path} is not there, so tokens cannot be counted. Convert or download the model again.")
    return Tokenizer.from_file(str(path))


def _puts_first(post_processor: Any, token: str) -> bool:
    """Whether a tokenizer.json's post-processor begins every text with that token."""
    if not isinstance(post_processor, dict):
        return False
    if post_processor.get("type") == "Sequence":
        return any(_puts_first(part, token) for part in post_processor.get("processors", []))
    first: Any = next(iter(post_processor.get("single") or []), {})
    return isinstance(first, dict) and first.get("SpecialToken", {}).get("id") == token


def _with_one(bos: str, text: str) -> str:
    """Some templates write it, some leave it to the tokenizer, and a few do both."""
    while text.startswith(bos):
        text = text.removeprefix(bos)
    return bos + text


def _broken(token: str) -> str:
    return f"{token[0]} {token[1:]}"


def _role(message: Message) -> str:
    role = message.get("role", "")
    if role not in ROLES:
        raise InvalidInput(f"A message has the role {role!r}. Use one of: {', '.join(ROLES)}.")
    return role


@cache
def _any_of(tokens: tuple[str, ...]) -> re.Pattern[str] | None:
    longest_first = sorted((token for token in tokens if len(token) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


@cache
def _compiled(source: str) -> Any:
    """Sandboxed, with the block trimming and the few names that Hugging Face templates count on."""
    from jinja2 import TemplateSyntaxError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    environment.globals["raise_exception"] = _refuse
    try:
        return environment.from_string(source)
    except TemplateSyntaxError as error:
        raise InvalidInput(f"The model's chat template cannot be read ({error}). Choose another model.") from error


def _refuse(reason: str) -> str:
    raise InvalidInput(
        f"The model's chat template refuses this conversation: {reason} Change the order of the messages."
    )


def _token_text(token: Any) -> str:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def _json_file(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InvalidInput(f"{path} is damaged ({error}). Convert or download the model again.") from error
    return value if isinstance(value, dict) else {}
