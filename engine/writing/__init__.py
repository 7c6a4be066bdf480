"""Questions as people ask them: the corpus they are learned from, the two adapters that learn from it, and what they are asked."""

from pathlib import Path

WRITER_ADAPTER = Path(__file__).parent / "writer.gguf"
READER_ADAPTER = Path(__file__).parent / "reader.gguf"
WRITER = "writer"
"""What a generation names as its teacher for these two."""


def is_built() -> bool:
    """Whether both adapters are here; `engine.writing.rows` trains them."""
    return WRITER_ADAPTER.is_file() and READER_ADAPTER.is_file()
