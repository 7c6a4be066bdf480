"""The Facts tab: the policy in the colours of what an adapter knows, and the step from there to the next version."""

import pytest
from gradio_client.exceptions import AppError

from engine.records import Fact, Passage
from evals.ledger import Count, Knowledge, Ledger, Said, forms_of
from tests.models import EchoModel
from tests.page import add_policy, stand_in_workspace, visiting
from ui.ledger import as_html, coloured, legend_html, weak_rows

FACT = Fact("f1", "p1", "Leave <b>", "number", "You get <12> days.", "You get <12> days.")
PASSAGE = Passage("p1", "d", 0, ("Leave <b>",), None, "You get <12> days. Ask & see.", 0, 29)


def known(state: str, fact: Fact = FACT) -> Knowledge:
    return Knowledge(
        fact, state, Count(0, 1), Count(0, 1), None, False, (Said("How <many>?", "<script>alert(1)</script>", False),)
    )


def test_words_of_a_fact_get_colour_and_sign_of_its_state_and_everything_is_escaped():
    html = coloured(PASSAGE, [known("not_learned")])
    assert html == (
        '<mark class="fact not_learned" title="not learned: 0 of 1 right — You get &lt;12&gt; days.">You get &lt;12&gt; days.'
        '<sup role="img" aria-label="not learned">✕</sup></mark> Ask &amp; see.'
    )


def test_where_two_facts_stand_on_the_same_words_the_worse_one_gives_the_colour_and_both_are_told():
    other = Fact("f2", "p1", "Leave <b>", "rule", "Twelve days it is.", "You get <12> days.")
    html = coloured(PASSAGE, [known("learned"), known("lost", other)])
    assert html.count("<mark") == 1 and 'class="fact lost"' in html
    assert "You get &lt;12&gt; days." in html and "Twelve days it is." in html


def test_overlapping_facts_lose_no_word_of_the_passage():
    inner = Fact("f2", "p1", "Leave <b>", "rule", "days.", "days. Ask")
    html = coloured(PASSAGE, [known("learned"), known("lost", inner)])
    bare = html
    for tag in ("mark", "sup"):
        while f"<{tag}" in bare:
            start = bare.index(f"<{tag}")
            bare = bare[:start] + bare[bare.index(">", start) + 1 :]
        bare = bare.replace(f"</{tag}>", "")
    assert bare.replace("✕", "").replace("↓", "").replace("✓", "") == "You get &lt;12&gt; days. Ask &amp; see."


def test_legend_and_page_hold_no_markup_of_the_document():
    ledger = Ledger("tuned<i>", "leave:1", "old<u>", (known("lost"),))
    for html in (legend_html(ledger), as_html([PASSAGE], ledger)):
        assert "<b>1</b>" in html or "&lt;b&gt;" in html
        assert not any(tag in html for tag in ("<i>", "<u>", "<script", "<12>"))
    assert weak_rows(ledger) == [
        ["lost: 0 of 1 right", "Leave <b>", "You get <12> days.", "1) How <many>?", "1) ✕ <script>alert(1)</script>"]
    ]


def test_a_visitor_looks_up_the_facts_and_makes_the_next_version_of_what_was_not_learned(tmp_path):
    tuned = EchoModel("tuned", "I do not know that.")
    workspace = stand_in_workspace(tmp_path / "ws", EchoModel("base", "No idea."), tuned)
    version = add_policy(workspace)
    forms = forms_of(workspace, version)
    learned = next(form.fact_id for form in forms if not form.trained)
    tuned.answers = {form.question: form.answer for form in forms if form.fact_id == learned}
    with visiting(workspace) as client:
        shown = client.predict("tuned", "the one before it", api_name="/ledger")
        assert "facts of leave:1" in shown[0]
        assert 'class="fact learned">✓ learned</span> <b>1</b>' in shown[1]
        assert shown[3].count("<mark") >= 5 and 'aria-label="learned"' in shown[3]
        comes_to, *_ = client.predict(False, api_name="/further_forms")
        assert "Nothing is made yet" in comes_to
        assert len(workspace.store.datasets()) == 1
        comes_to, *_ = client.predict(api_name="/add_forms")
        assert "leave:2 is made" in comes_to
        with pytest.raises(AppError, match="Show the further forms first"):
            client.predict(api_name="/add_forms")
    made = workspace.store.dataset("leave:2")
    assert made.recipe["further"]["reason"].endswith("facts that tuned had not learned")
    taught = {row.example.fact_id for row in workspace.store.rows(made.id)[version.counts["kept"] :]}
    assert taught and learned not in taught


def test_what_has_no_ledger_is_said_in_one_sentence(tmp_path):
    workspace = stand_in_workspace(tmp_path / "ws")
    add_policy(workspace)
    with visiting(workspace) as client:
        for name, says in (("base", "Of the base no fact was taught"), ("ghost", "ghost"), ("", "Name an adapter")):
            with pytest.raises(AppError, match=says):
                client.predict(name, "the one before it", api_name="/ledger")
        with pytest.raises(AppError, match="no fact to add forms for"):
            client.predict(False, api_name="/further_forms")
