"""Questions as people ask them: the corpus they are learned from, the two small models that ship, and what they are asked."""

from pathlib import Path

WRITER_ADAPTER = Path(__file__).parent / "writer.gguf"
READER_ADAPTER = Path(__file__).parent / "reader.gguf"
WRITER = "writer"
"""What a generation names as its teacher for the two models that ship."""
