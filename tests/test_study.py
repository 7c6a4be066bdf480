"""A study of recipes: its plan, its cells made once, its table; trained for real, two steps a cell."""

import json
from pathlib import Path

import pytest

import app
from engine.documents import read_document
from engine.errors import InvalidInput
from engine.records import Decoding
from engine.samples import MARKDOWN
from evals.baselines import BestSentence
from evals.intervals import share, wilson
from evals.study.plan import read_plan
from evals.study.plots import draw
from evals.study.report import MEASURES, against, lines_of, markdown, score

POLICY = """# Leave

## Annual leave

Employees receive 26 working days of annual leave in each leave year. Requests for annual leave are made in PeopleDesk at least
two weeks before the first day of leave. Unused annual leave must be taken by 31 March of the following year.

## Sick leave

Employees must report an absence by telephone before 09:30 on the first day. A medical certificate is required after three days
of absence. The HR Manager keeps the certificates for two years.
"""
QUESTIONS = [
    {"id": "a", "question": "How much holiday do I get?", "paraphrase": "days off a year?", "kind": "answerable", "accept": ["26"]},
    {"id": "b", "question": "Who keeps my doctor's notes?", "kind": "answerable", "accept": ["HR Manager"]},
    {"id": "c", "question": "Is there a canteen?", "kind": "unanswerable"},
]  # fmt: skip


@pytest.fixture
def plan(tmp_path) -> Path:
    (tmp_path / "leave.md").write_text(POLICY)
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(entry()))
    return path


def entry(**changes):
    return {
        "policies": {"leave": {"documents": ["leave.md"], "questions": "gold.jsonl"}},
        "recipes": {"ours": {}, "slow": {"learning_rate": 0.0001, "rank": 4}},
        "steps": [2],
        "seeds": [0],
    } | changes


def test_a_plan_names_every_cell_and_the_first_seeds_come_first(plan):
    plan.write_text(json.dumps(entry(seeds=[0, 1], steps=[2, 4])))
    names = [cell.name for cell in read_plan(plan).cells]
    assert names[:4] == ["leave-ours-2steps-0", "leave-slow-2steps-0", "leave-ours-4steps-0", "leave-slow-4steps-0"]
    assert len(names) == len(set(names)) == 8 and names[4].endswith("-1")


def test_recipes_that_generate_alike_share_their_dataset(plan):
    plan.write_text(json.dumps(entry(recipes={"a": {}, "b": {"rank": 4}, "c": {"teacher": "ollama:x"}})))
    a, b, c = read_plan(plan).cells
    assert a.dataset == b.dataset != c.dataset


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipes": {"a": {"lerning_rate": 1}}}, "no setting 'lerning_rate'"),
        ({"recipes": {"a": {"learning_rate": "fast"}}}, "learning_rate is 'fast'"),
        ({"recipes": {"a": {"adapter": "mine"}}}, "no setting 'adapter'"),
        ({"recipes": {}}, '"recipes"'),
        ({"recipes": {"a b": {}}}, '"a b" cannot be a name'),
        ({"seeds": [0.5]}, '"seeds" is [0.5]'),
        ({"steps": [0]}, '"steps" is [0]'),
        ({"minutes": [3]}, "one of them"),
        ({"budget": 3}, "['budget']"),
        ({"policies": {"p": {"documents": ["gone.md"], "questions": "gold.jsonl"}}}, "gone.md, which is not there"),
        ({"policies": {"p": {"documents": "leave.md", "questions": "gold.jsonl"}}}, "a list of files"),
    ],
)
def test_a_plan_that_cannot_run_is_refused_before_anything_is_trained(plan, changes, said):
    plan.write_text(json.dumps(entry(**changes)))
    with pytest.raises(InvalidInput) as problem:
        read_plan(plan)
    assert said in str(problem.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"'])
def test_a_plan_that_is_no_object_is_one_sentence(plan, text):
    plan.write_text(text)
    with pytest.raises(InvalidInput):
        read_plan(plan)


def test_the_best_sentence_is_a_sentence_of_the_policy_and_never_a_guess(tmp_path):
    model = BestSentence([read_document(MARKDOWN)])
    said = model.reply([{"role": "user", "content": "By when must carried-over days be taken?"}], Decoding()).text
    assert "31 March" in said
    assert model.reply([{"role": "user", "content": "zyzzyva?"}], Decoding()).text == ""
    assert model.reply([{"role": "user", "content": "«»"}], Decoding()).text == ""


def test_wilson_agrees_with_the_share_of_whole_counts():
    for right, of in ((0, 7), (3, 7), (33, 63), (63, 63)):
        found = share(right, of)
        assert wilson(right / of, of) == pytest.approx((found.low, found.high), abs=1e-9)
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_a_score_is_the_mean_of_its_seeds_with_the_interval_of_one_asking():
    found = score([{"right": right, "of": 10, "low": 0.0, "high": 0.0} for right in (2, 4, 6)])
    assert found.mean == pytest.approx(0.4)
    assert (found.low, found.high) == pytest.approx(wilson(0.4, 10))
    assert str(found) == "40 % (17-69; 20, 40, 60)"


def cell(recipe, seed, right, **scores):
    counted = {key: {"right": scores.get(key, 0), "of": 4, "low": 0.0, "high": 1.0} for key in MEASURES}
    cost = {"facts": 6, "exposures": 2.0, "steps": 2, "generation_min": 0.1, "training_min": 0.2}
    return {
        "policy": "leave",
        "recipe": recipe,
        "budget": "2 steps",
        "seed": seed,
        "scores": counted,
        "right": right,
    } | cost


def test_a_recipe_is_compared_question_by_question_within_its_seed():
    cells = [
        cell("ours", 0, {"a": True, "b": False, "c": False}),
        cell("other", 0, {"a": False, "b": True, "c": True}),
        cell("ours", 1, {"a": False, "b": False, "c": False}),
        cell("other", 1, {"a": False, "b": True, "c": False}),
        cell("other", 2, {"a": True, "b": True, "c": True}),
    ]
    (found,) = against(cells, "ours")
    assert (found["fixed"], found["broken"], found["per_seed"]) == (3, 1, [(2, 1), (1, 0)])
    assert found["p_value"] == pytest.approx(0.625)  # 2 * (1 + 4) / 2^4


def test_the_table_and_the_plots_hold_every_line(tmp_path):
    baselines = {"leave": {"base": cell("", 0, {})["scores"]}}
    lines = lines_of([cell("ours", 0, {}, questions=2), cell("ours", 1, {}, questions=4)], baselines)
    assert [(line.recipe, line.budget) for line in lines] == [("base", "no training"), ("ours", "2 steps")]
    assert "| leave | ours | 2 steps | 75 % (30-95; 50, 100) |" in markdown(lines)
    (file,) = draw(lines, tmp_path)
    assert ">ours, 2 steps<" in file.read_text() and ">questions right<" in file.read_text()
    more = [*lines, *lines_of([cell("ours", 0, {}) | {"budget": "9 steps", "steps": 9}], {})]
    assert [path.name for path in draw(more, tmp_path)] == ["recipes.svg", "budgets.svg"]


def test_a_study_trains_each_cell_once_and_finds_it_again(plan, tmp_path, capsys):
    workspace = tmp_path / "ws"
    command = ["--workspace", str(workspace), "--json", "study", str(plan)]
    assert app.main(command) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["cells"], result["of"]) == (2, 2)
    found = json.loads(Path(result["all"]).read_text())
    assert [entry["steps"] for entry in found["cells"]] == [2, 2]
    assert {cell["dataset"] for cell in found["cells"]} == {found["cells"][0]["dataset"]}
    assert found["cells"][0]["scores"]["questions"]["of"] == 2 and found["cells"][0]["scores"]["paraphrases"]["of"] == 1
    best = found["baselines"]["leave"]
    assert list(best) == ["always refuse", "best BM25 sentence", "base", "base with the clauses"]
    assert best["always refuse"]["unanswerable"]["right"] == 1 and best["best BM25 sentence"]["questions"]["right"] == 1
    written = {path.name: path.stat().st_mtime_ns for path in (workspace / "study").glob("leave-*.json")}
    assert len(written) == 3
    assert app.main(command) == 0
    assert {path.name: path.stat().st_mtime_ns for path in (workspace / "study").glob("leave-*.json")} == written
