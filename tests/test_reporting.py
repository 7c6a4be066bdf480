"""The report as people read it: verdict first, everything escaped, nothing loaded."""

import re

import pytest

from engine.records import REFUSAL, Question
from engine.tasks import Task
from engine.tasks.policy_qa import POLICY_QA
from evals.report import complete
from evals.reporting.page import columns, fragment, page, speed_table, table
from evals.run import evaluate
from tests.models import EchoModel

EVIL = "<script>alert(1)</script><img src=x onerror=y>"
QUESTIONS = [
    *(Question(f"k{n}", f"{EVIL} days {n}?", "answerable", f"Other {n}?", ("25",), slice=EVIL,
               extra={"gold": f"25 {EVIL}", "evidence": f"{EVIL} {n}", "clause": EVIL}) for n in range(12)),
    *(Question(f"u{n}", f"Sauna {n}?", "unanswerable") for n in range(12)),
]  # fmt: skip


def made(*models, questions=QUESTIONS):
    return complete(evaluate(models, questions, POLICY_QA, source="q.jsonl"), questions, POLICY_QA)


@pytest.fixture(scope="module")
def report():
    return made(
        EchoModel("base", EVIL), EchoModel("<b>tuned</b>", REFUSAL, {q.question: f"25 {EVIL}" for q in QUESTIONS[:12]})
    )


def test_names_questions_answers_and_evidence_stay_text(report):
    html = page(report)
    assert EVIL not in html and "<b>tuned</b>" not in html and "onerror=y>" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 20 and "&lt;b&gt;tuned&lt;/b&gt;" in html


def test_the_file_loads_nothing_and_runs_nothing(report):
    html = page(report)
    assert not re.search(r"<(script|link|iframe|img)\b|@import|url\(|<[^>]*\b(src|href)=", html)


def test_the_verdict_stands_before_every_table_and_plot(report):
    html = fragment(report)
    verdict = html.index("in the place of base: ")
    assert (
        verdict
        < html.index("What each one answered")
        < html.index("What changed from")
        < html.index("most telling answers")
    )
    assert html.index("points of a hundred") > verdict


def test_the_table_has_the_trivial_answerers_first_and_the_models_after(report):
    lines = table(report)
    assert [line[0] for line in lines] == ["always refuse", "commonest answer", "base", "<b>tuned</b>"]
    assert all(len(line) == len(columns(report)) for line in lines)
    assert lines[0][columns(report).index("rightly refused")] == "12 of 12 (at least 78 %)"  # .05^(1/12) = 77.9 %


def test_speed_and_cost_stand_apart_for_models_only(report):
    assert speed_table(report) == [
        ["base", "0.0 (p95: 0.0)", "0.00 (p95: 0.00)", "3 (p95: 3)", "4000.0 (p5: 4000.0)", "–, 108"],
        [
            "<b>tuned</b>",
            "0.0 (p95: 0.0)",
            "0.00 (p95: 0.00)",
            "6 (p95: 6)",
            "10000.0 (p5: 6000.0)",
            "–, 192",
        ],  # 12 answers of 4 words, 24 refusals of 6
    ]


def test_an_interval_is_drawn_where_it_lies(report):
    (pair,) = report["pairs"]
    assert pair["change"]["low"] > 0
    row = r"right answers, all questions</span>.*?left:([\d.]+)%;right:calc\(100% - ([\d.]+)%\).*?left:([\d.]+)%"
    drawn = re.search(row, fragment(report), re.DOTALL)
    low, high, value = map(float, drawn.groups())
    scale = (value - 50) / (50 * pair["change"]["value"])
    assert 50 < low < value < high <= 100
    assert (low - 50, high - 50) == pytest.approx(
        (50 * scale * pair["change"]["low"], 50 * scale * pair["change"]["high"]), abs=0.02
    )


def test_a_change_is_told_by_shape_and_sign_and_not_by_colour_alone(report):
    html = fragment(report)
    assert 'class="moved up"' in html and re.search(r"\+\d+\.\d <small>", html)
    assert html.count('class="mark" aria-hidden="true">✓') and ": met." in html


def test_one_model_has_no_verdict_and_an_old_report_says_so():
    assert "Measure it together with another one" in fragment(made(EchoModel("base", "25")))
    assert "made before there were verdicts" in page({"answers": {"base": []}, "models": {}})


def test_how_sure_a_model_was_is_drawn_where_its_engine_says_it(report):
    assert "their engine does not say" in fragment(report) and "<svg" not in fragment(report)
    measured = evaluate([EchoModel("base", "25")], QUESTIONS, POLICY_QA)
    for row in measured["answers"]["base"]:
        row["confidence"] = 0.75
    drawn = fragment(complete(measured, QUESTIONS, POLICY_QA))
    assert drawn.count("<circle") == 1 and 'cx="90.0"' in drawn  # 15 + 75


def test_a_decision_task_shows_its_own_measures_and_confusion():
    decide = Task("decide", "Decide", "json", "Decide.", decision="eligible")
    asked = [
        Question(f"d{n}", f"Case {n}?", "answerable", extra={"expected": {"eligible": n % 2 == 0}}) for n in range(20)
    ]
    yes = EchoModel("yes", '{"eligible": true}')
    found = complete(evaluate([yes, EchoModel("hm", "hm")], asked, decide), asked, decide)
    assert columns(found)[1:5] == ["wholly right", "valid JSON", "falsely approved", "falsely rejected"]
    line = next(line for line in table(found) if line[0] == "yes")
    assert line[1] == "10 of 20 (50 %, 30-70 %)" and line[3] == "10 of 10 (at least 74 %)"
    assert found["measures"]["yes"]["confusion"] == {"yes": {"yes": 10}, "no": {"yes": 10}}
    assert '<th scope="row">no</th>' in fragment(found)
    assert found["trivial_measures"]["commonest answer"]["overall"]["right"] == 10
