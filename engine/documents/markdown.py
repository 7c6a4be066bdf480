"""Markdown to blocks, by way of HTML, so that both formats are read by one reader."""

import re

from markdown_it import MarkdownIt

from engine.documents.blocks import Block
from engine.documents.html import read_html

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_LINK_TARGET = re.compile(r"\]\(\s*(?:\{[%{].*?[%}]\}[^)\s]*|<?[^)\s]*\{\{.*?\}\}[^)\s]*)\s*\)")
_CHANNEL = re.compile(r"\{%-?\s*\w*channel\s+[\"']#?([^\"']+)[\"'].*?%\}")
_LIQUID = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_KRAMDOWN = re.compile(r"^[ \t]*\{:.*?\}[ \t]*$|(?<=\S)[ \t]*\{[:#][^}\n]*\}[ \t]*$", re.MULTILINE)


def read_markdown(text: str) -> list[Block]:
    """
    The readable blocks, in order: front matter, Liquid tags, link targets, emphasis, images and HTML tags are gone.

    A chat channel written as a Liquid tag is read as "#name".
    """
    text = _FRONT_MATTER.sub("", text.replace("\r\n", "\n"))
    text = _LINK_TARGET.sub("](#)", text)
    text = _LIQUID.sub("", _CHANNEL.sub(r"#\1", text))
    text = _KRAMDOWN.sub("", text)
    return read_html(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))
