"""Half of the time that importing gradio takes goes to writing files for code editors; a page that starts needs none.

Measured with gradio 6 (`python -m tests.bench startup`): 5.2 s to the first page with them, 3.1 s without.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

WRITER_MODULE, WRITER = "gradio.component_meta", "create_or_modify_pyi"


class WithoutEditorStubs(MetaPathFinder):
    """Imports gradio's `component_meta` as it is, then replaces the function that rewrites a .pyi file per component."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """None for every other module: the usual finders go on."""
        if name != WRITER_MODULE:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Skipping(spec.loader)
        return spec


class _Skipping(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if hasattr(module, WRITER):
            setattr(module, WRITER, write_no_stub)


def write_no_stub(*_: object) -> None:
    """In place of gradio's writer: the package's own .pyi files stay as they were installed."""


def install() -> None:
    """Before gradio is first imported; once is enough, and a second time changes nothing."""
    if not any(isinstance(finder, WithoutEditorStubs) for finder in sys.meta_path):
        sys.meta_path.insert(0, WithoutEditorStubs())
