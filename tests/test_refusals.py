"""`app.py refusals`: what settings come to, one of them saved, and what cannot be said in one sentence."""

import json

import pytest

from app import main
from engine.adapters import install_adapter

REFUSAL = {"task": "policy_qa", "token": 7, "answerable": [0.5, 1.5, -2.0], "unanswerable": [3.0, -0.5, 1.0, 2.0, 4.0]}


@pytest.fixture
def run(tmp_path, capsys):
    """A command in a workspace with two adapters, one of them measured: (exit status, JSON or None, stdout, stderr)."""
    for name, card in (("leave", {"refusal": REFUSAL}), ("old", {})):
        built = tmp_path / name
        built.mkdir()
        for file in ("adapter_config.json", "adapter_model.safetensors", "adapter.gguf"):
            (built / file).write_text(file)
        install_adapter(built, tmp_path / "ws" / "adapters", name, {"base": "base", "dataset": "leave:1", **card})

    def call(*arguments: str):
        status = main(["refusals", *arguments, "--workspace", str(tmp_path / "ws")])
        out = capsys.readouterr()
        return status, json.loads(out.out.splitlines()[-1]) if "--json" in arguments else None, out.out, out.err

    return call


def test_it_shows_what_each_setting_comes_to_and_which_is_in_force(run):
    status, found, _, _ = run("leave", "--json")
    assert status == 0 and (found["least_refused"], found["chosen"], found["handicap"]) == (0.9, False, 0.0)
    by_share = {line.pop("least_refused"): line for line in found["settings"]}
    assert by_share[1.0] == by_share[0.9] == {"handicap": 0.0, "rightly_refused": 4, "falsely_refused": 2}
    assert by_share[0.6] == {"handicap": 1.99, "rightly_refused": 3, "falsely_refused": 0}
    lines = {line.split("  ")[0]: line for line in run("leave")[2].splitlines()}
    assert "as trained" in lines["90 %"] and lines["90 %"].endswith("now, the default")
    assert (
        "1.99 nats" in lines["60 %"] and "3 of 5 (60 %," in lines["60 %"] and "0 of 3 (at most 63 %)" in lines["60 %"]
    )


def test_a_choice_stays_until_the_default_is_wanted_again(run):
    status, _, out, _ = run("leave", "--least-refused", "0.75")
    assert status == 0
    assert out.startswith("Saved. With its refusal held back by 0.99 nats it refuses 4 of 5 held-out questions")
    found = run("leave", "--json")[1]
    assert (found["least_refused"], found["chosen"], found["handicap"]) == (0.75, True, 0.99)
    assert [line["least_refused"] for line in found["settings"]] == [1.0, 0.95, 0.9, 0.8, 0.75, 0.7, 0.6, 0.5]
    found = run("leave", "--default", "--json")[1]
    assert (found["least_refused"], found["chosen"]) == (0.9, False)


def test_what_it_never_learned_to_refuse_is_said(run):
    assert "That is less than 95 %: it never learned to refuse more." in run("leave", "--least-refused", "0.95")[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody"], "There is no adapter called nobody. There are: "),
        (["base"], "belongs to the embedded model"),
        (["old"], "When old refuses was not measured when it was trained, so it cannot be set."),
        (["old", "--least-refused", "0.9"], "Train it again"),
        (["leave", "--least-refused", "90"], "90 is no share"),
        (["leave", "--least-refused", "0"], "Give one above 0 and at most 1, such as 0.9."),
        (["leave", "--least-refused", "nan"], "nan is no share"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_changes_nothing(run, tmp_path, arguments, says):
    status, _, out, err = run(*arguments)
    assert status == 2 and says in err and len(err.strip().splitlines()) == 1 and out == ""
    assert not list(tmp_path.rglob("refusal.json"))
