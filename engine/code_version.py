"""Which version of the product made something: a digest of its own source, so that no repository is needed to tell."""

import hashlib
from functools import cache

from engine.settings import PROJECT


@cache
def code_version() -> str:
    """The first twelve hex digits of the sha256 over every source file of the engine and its path."""
    whole = hashlib.sha256()
    for path in sorted((PROJECT / "engine").rglob("*.py")):
        whole.update(f"{path.relative_to(PROJECT)}\n".encode() + path.read_bytes())
    return whole.hexdigest()[:12]
