"""Records as the page shows them; expected rows are written by hand."""

from engine.records import Document, Fact, Passage
from evals.ranking import Standing
from ui.tables import (
    changed_rows,
    coverage_rows,
    highlighted,
    loss_points,
    pace,
    place,
    report_bars,
    standing_rows,
    when,
)

PASSAGE = Passage("p", "d", 0, ("4 Leave", "4.2 Sick leave"), 5, "Ring before 9 am. Then rest.", 0, 28)


def test_the_evidence_alone_is_marked():
    assert highlighted(PASSAGE, "before 9 am") == [("Ring ", None), ("before 9 am", "evidence"), (". Then rest.", None)]
    assert highlighted(PASSAGE, "Ring before 9 am. Then rest.") == [(PASSAGE.text, "evidence")]


def test_nothing_is_marked_where_the_evidence_is_not_verbatim():
    assert highlighted(PASSAGE, "before nine") == [(PASSAGE.text, None)]
    assert highlighted(PASSAGE, "") == [(PASSAGE.text, None)]


def test_a_place_is_its_headings_and_its_page():
    assert place(PASSAGE) == "4 Leave › 4.2 Sick leave, page 5"


def test_a_clause_without_facts_is_listed_with_a_zero():
    other = Passage("q", "d", 1, ("5 Travel",), None, "Fly.", 29, 33)
    fact = Fact("f", "p", "4 Leave › 4.2 Sick leave", "date", "Ring before 9 am.", "before 9 am")
    document = Document("d", "leave.md", "text/markdown", "", (PASSAGE, other))
    assert coverage_rows([document], [fact, fact]) == [["4 Leave › 4.2 Sick leave", "2"], ["5 Travel", "0"]]


def test_a_share_never_stands_without_its_count_and_interval():
    from evals.intervals import share

    (row,) = standing_rows([Standing("tuned", 4, 3, 1, 0, 0, share(3, 4), 1.5)])
    assert row == ["tuned", "1.50", "3 of 4 (75 %, 30-95 %)", "4", "0", "0"]


def test_the_curve_shows_each_step_and_the_running_average():
    points = loss_points([{"step": 1, "loss": 4.0}, {"step": 2, "loss": 2.0}, {"step": 3}])
    assert points.to_dict("records") == [
        {"step": 1, "loss": 4.0, "curve": "each step"},
        {"step": 1, "loss": 4.0, "curve": "average"},
        {"step": 2, "loss": 2.0, "curve": "each step"},
        {"step": 2, "loss": 3.0, "curve": "average"},
    ]


def test_what_changed_stands_with_both_answers_broken_first():
    def row(answer):
        return {"id": "q1", "question": "How many?", "answer": answer}

    report = {
        "answers": {"base": [row("3"), row("5") | {"id": "q2"}], "tuned": [row("5"), row("4") | {"id": "q2"}]},
        "compared": [{"first": "base", "second": "tuned", "fixed": ["q1"], "broken": ["q2"], "p_value": 1.0}],
    }
    assert changed_rows(report) == [
        ["tuned broke it", "How many?", "5", "4"],
        ["tuned fixed it", "How many?", "3", "5"],
    ]


def test_bars_are_percentages_of_what_was_asked():
    counted = {"right": 1, "of": 4, "low": 0.0, "high": 1.0}
    found = {"questions": counted, "unanswerable": counted | {"right": 4}, "false_refusals": counted | {"right": 2}}
    bars = report_bars({"models": {"base": found}})
    assert list(bars["percent"]) == [25.0, 100.0, 50.0]


def test_what_a_run_says_of_itself_stays_text():
    assert "<img" not in pace(1, 2, "<img src=x>") and "&lt;img" in pace(1, 2, "<img src=x>")


def test_times_are_cut_to_the_minute():
    assert when("2026-11-21T12:05:33.123+00:00") == "2026-11-21 12:05 UTC"
