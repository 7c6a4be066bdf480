"""Other people's tools take our exports as they are: `datasets` loads them, TRL's SFTTrainer trains on them."""

import json
from collections import Counter

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from engine.exchange import FORMATS
from engine.exchange.exporting import export_version
from engine.exchange.importing import import_files
from engine.records import REFUSAL
from engine.tasks.policy_qa import POLICY_QA

CHAT_TEMPLATE = (
    "{% for turn in messages %}<s>{{ turn['role'] }}\n{{ turn['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


@pytest.fixture
def hub(tmp_path, sample_store):
    """The sample dataset in every format, loaded by `datasets` the way its documentation says."""
    import datasets

    version = sample_store.dataset("leave")

    def load(format: str, part: str = "train"):
        out = tmp_path / (f"{format}-{part}" if format == "hf" else f"{format}-{part}.jsonl")
        export_version(sample_store, version, out, task=POLICY_QA, format=format, part=part)
        if format == "hf":
            return datasets.load_from_disk(str(out))
        reader = "csv" if format == "csv" else "json"
        return datasets.load_dataset(reader, data_files=str(out), split="train", cache_dir=str(tmp_path / "cache"))

    return load


def tiny():
    """A tiny Llama of random weights, the same each time, and a tokenizer that reads letters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    letterwise = Tokenizer(
        models.BPE(vocab={c: n for n, c in enumerate(["<pad>", "<s>", "</s>", *letters])}, merges=[])
    )
    letterwise.pre_tokenizer, letterwise.decoder = (
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoders.ByteLevel(),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=letterwise, pad_token="<pad>", bos_token="<s>", eos_token="</s>", chat_template=CHAT_TEMPLATE
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
        )
    )
    return model, tokenizer


def trained(rows, folder) -> tuple[int, bool, list[str]]:
    """Two steps on the tiny Llama: the steps done, whether the weights moved, and the texts of a batch."""
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = tiny()
    before = [weights.detach().clone() for weights in model.parameters()]
    settings = SFTConfig(
        output_dir=str(folder),
        max_steps=2, per_device_train_batch_size=4, max_length=512, save_strategy="no", report_to=[],
        use_cpu=True, bf16=False, disable_tqdm=True, learning_rate=1e-2,
    )  # fmt: skip
    trainer = SFTTrainer(model=model, args=settings, train_dataset=rows, processing_class=tokenizer)
    batch = next(iter(trainer.get_train_dataloader()))
    steps = trainer.train().global_step
    moved = all(bool((old != new).any()) for old, new in zip(before, model.parameters(), strict=True))
    return steps, moved, tokenizer.batch_decode(batch["input_ids"])


@pytest.mark.parametrize("format", FORMATS)
def test_datasets_loads_every_format(hub, sample_store, format):
    found = hub(format, "all")
    version = sample_store.dataset("leave")
    if format == "hf":
        sizes = {split: rows.num_rows for split, rows in found.items()}
        bare = version.counts["statement"]
        wanted = {split: version.counts[split] for split in ("train", "probe", "test")} | {"statements": bare}
        assert sizes == wanted | {"train": wanted["train"] - bare}
        return
    questions = version.counts["answerable"] + version.counts["unanswerable"]
    with_statements = format in ("prompt", "csv")
    assert found.num_rows == questions + (version.counts["statement"] if with_statements else 0)
    columns = {
        "chat": ["messages", "lineage"], "openai": ["messages"], "alpaca": ["instruction", "input", "output"],
        "prompt": ["prompt", "completion", "system", "lineage"],
    }.get(format)  # fmt: skip
    assert columns is None or found.column_names == columns
    answers = Counter(str(found[n]).count(REFUSAL) > 0 for n in range(0, found.num_rows, 50))
    assert answers[True] > 5


@pytest.mark.parametrize("format", ["chat", "prompt", "openai", "hf"])
def test_trl_trains_on_it_unmodified(hub, tmp_path, format):
    rows = hub(format)
    rows = (rows["train"] if format == "hf" else rows).select(range(24))
    steps, moved, texts = trained(rows, tmp_path)
    assert steps == 2 and moved
    if format == "prompt":
        wanted = {f"{row['prompt']}{row['completion']}</s>" for row in rows}
    else:
        wanted = {"".join(f"<s>{t['role']}\n{t['content']}</s>\n" for t in row["messages"]) for row in rows}
    assert len(texts) == 4 and {text.replace("<pad>", "") for text in texts} <= wanted


def test_a_bare_text_of_the_prompt_format_is_trained_too(hub, tmp_path):
    rows = hub("prompt")
    bare = rows.filter(lambda row: row["prompt"] == "")
    steps, moved, texts = trained(bare.select(range(12)), tmp_path)
    assert (steps, moved) == (2, True) and bare.num_rows > 100
    known = {row["completion"] for row in bare.select(range(12))}
    assert {text.removesuffix("</s>").replace("<pad>", "").replace("</s>", "") for text in texts} <= known


def test_a_folder_that_datasets_saved_by_itself_is_imported(tmp_path, store):
    import datasets

    rows = [{"question": f"May I keep ant{n} bee{n} cat{n} dog{n}?", "answer": f"Keep {n}."} for n in range(20)]
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "theirs"))
    done = import_files(store, "d", [tmp_path / "theirs"], task=POLICY_QA, now="1")
    assert done.refused == () and done.formats == {"theirs": "hf"}
    found = store.rows(done.version.id)
    assert [{"question": row.example.question, "answer": row.example.answer} for row in found] == rows
    assert json.dumps(done.version.recipe["files"]).count("sha256") == 1
