"""Records as the page shows them; expected rows are written by hand."""

from engine.records import Adapter, Passage
from evals.ranking import Standing
from ui.tables import (
    changed_rows,
    highlighted,
    model_rows,
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
    assert highlighted(PASSAGE, "Then rest.\nor sleep")[-2:] == [
        ("Then rest.", "evidence"),
        ("\n• or sleep", "evidence"),
    ]
    assert highlighted(PASSAGE, "before nine") == [(PASSAGE.text, None)]
    assert highlighted(PASSAGE, "") == [(PASSAGE.text, None)]


def test_a_place_is_its_headings_and_its_page():
    assert place(PASSAGE) == "4 Leave › 4.2 Sick leave, page 5"


def test_an_adapter_that_reads_clauses_is_told_from_one_that_recalls():
    recalls, reads = (
        Adapter("tuned", "base", "", "0" * 64, "2026-05-01", "leave:1", {"config": config, "minutes": 2})
        for config in ({"preset": "quick"}, {"preset": "quick", "mode": "grounded"})
    )
    assert [row[3] for row in model_rows("base", [recalls, reads], "")] == ["", "quick", "quick, grounded"]


def test_a_share_never_stands_without_its_count_and_interval():
    from evals.intervals import share

    (row,) = standing_rows([Standing("tuned", 4, 3, 1, 0, 0, share(3, 4), 1.5)])
    assert row == ["tuned", "1.50", "3 of 4 (75 %, 30-95 %)", "4", "0", "0"]


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


def test_bars_are_shares_of_what_was_asked_with_their_interval():
    counted = {"right": 1, "of": 4, "low": 0.05, "high": 0.7}
    none = {"right": 0, "of": 0, "low": 0.0, "high": 1.0}
    bars = report_bars({"models": {"<b>": {"questions": counted, "unanswerable": counted, "false_refusals": none}}})
    assert bars.count('<i style="width:25.0%"></i><u style="left:5.0%;width:65.0%"></u>') == 2
    assert "none asked" in bars and "<span>&lt;b&gt;</span>" in bars


def test_what_a_run_says_of_itself_stays_text():
    assert "<img" not in pace(1, 2, "<img src=x>") and "&lt;img" in pace(1, 2, "<img src=x>")


def test_times_are_cut_to_the_minute():
    assert when("2026-11-21T12:05:33.123+00:00") == "2026-11-21 12:05 UTC"
