"""What several test files stand on: the real embedded model, converted once a machine, and an adapter that speaks up."""

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from engine.adapters import to_gguf
from engine.backends.llama_cpp import LlamaEngine
from engine.documents import read_document
from engine.embedded import EmbeddedModel, ensure_embedded
from engine.generation import make_version
from engine.records import Document
from engine.samples import MARKDOWN
from engine.settings import Settings
from engine.store import Store
from engine.tasks.policy_qa import POLICY_QA

# Two test processes must not share uploads either: a page that starts empties that folder.
os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="touchstone-uploads-")
# What PDFs say is tested on our own reader, and what is found by words alone, whatever this machine has.
os.environ["TOUCHSTONE_DOCLING"] = os.environ["TOUCHSTONE_EMBEDDING"] = "off"

LINEAR = {  # SmolLM2-135M: (rows, columns) of each weight
    "self_attn.q_proj": (576, 576),
    "self_attn.k_proj": (192, 576),
    "self_attn.v_proj": (192, 576),
    "self_attn.o_proj": (576, 576),
    "mlp.gate_proj": (1536, 576),
    "mlp.up_proj": (1536, 576),
    "mlp.down_proj": (576, 1536),
}


def write_random_adapter(
    folder: Path,
    *,
    layers: Sequence[int] = range(30),
    rank: int = 4,
    seed: int = 0,
    size: float = 0.05,
    **config: object,
) -> Path:
    """A PEFT folder whose every weight is random and not zero, so that whatever goes wrong with it shows."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in layers:
        for module, (rows, columns) in LINEAR.items():
            stem = f"base_model.model.model.layers.{layer}.{module}"
            tensors[f"{stem}.lora_A.weight"] = rng.normal(0, size, (rank, columns)).astype(np.float32)
            tensors[f"{stem}.lora_B.weight"] = rng.normal(0, size, (rows, rank)).astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 8,
        "target_modules": sorted({module.split(".")[1] for module in LINEAR}),
        "bias": "none",
        **({} if len(layers) == 30 else {"layers_to_transform": list(layers), "layers_pattern": "layers"}),
    }
    (folder / "adapter_config.json").write_text(json.dumps({**settings, **config}))
    return folder


def pytest_configure() -> None:
    """Two test processes share the cores, so each computes on one: threads of two engines would wait for each other."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        os.environ.setdefault("TOUCHSTONE_THREADS", "1")


LONGEST_FIRST = ("test_train_lora.py", "test_readme.py", "test_loop.py", "test_adapters.py", "test_llama_cpp.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take minutes come first, so that none of them is left alone at the end while the other process idles."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="session")
def random_adapter():
    """`write_random_adapter`, for tests that need adapters of their own."""
    return write_random_adapter


@pytest.fixture(scope="session")
def embedded() -> EmbeddedModel:
    """The converted model where `make setup` puts it; made by the first test run of a machine."""
    return ensure_embedded(Settings.read().models)


@pytest.fixture(scope="session")
def llama(embedded):
    """One llama.cpp for the whole run: the base once in memory, adapters added as tests ask for them."""
    engine = LlamaEngine(embedded, threads=Settings.read().threads)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def loud_adapter(embedded, tmp_path_factory) -> Path:
    """A PEFT folder with adapter.gguf, on every linear layer, strong enough to change every answer."""
    folder = write_random_adapter(tmp_path_factory.mktemp("loud") / "peft", size=0.08)
    to_gguf(folder, embedded.folder, folder / "adapter.gguf")
    return folder


@pytest.fixture
def clock():
    """A clock that is handed in: each look is one second later than the last, from noon on 1 May 2026."""
    ticks = count()

    def now() -> str:
        return (datetime(2026, 5, 1, 12, tzinfo=UTC) + timedelta(seconds=next(ticks))).isoformat()

    return now


@pytest.fixture
def store(tmp_path) -> Store:
    """A real SQLite file of today's schema, empty."""
    store = Store(tmp_path / "touchstone.db")
    store.migrate()
    return store


@pytest.fixture(scope="session")
def document() -> Document:
    """The sample policy, parsed."""
    return read_document(MARKDOWN)


@pytest.fixture(scope="session")
def _sample_file(document, tmp_path_factory) -> Path:
    store = Store(tmp_path_factory.mktemp("sample") / "touchstone.db")
    store.migrate()
    store.add_document(document, now="2026-05-01T10:00:00+00:00")
    make_version(store, "leave", [document], task=POLICY_QA, seed=0, now="2026-05-01T11:00:00+00:00")
    return store.path


@pytest.fixture
def sample_store(_sample_file, tmp_path) -> Store:
    """A store of the test's own that holds the sample policy and its dataset version leave:1."""
    return Store(Path(shutil.copy(_sample_file, tmp_path / "sample.db")))
