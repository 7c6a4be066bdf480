"""Styles of asking that fit any thing: each has one place for it and reads as a question or a request."""

import pytest

from engine.styles import OFFER_FORMS, PRESENT, TOPIC_FORMS, VALUE_FORMS


def test_every_form_has_one_place_for_the_thing():
    forms = [*TOPIC_FORMS, *OFFER_FORMS, *(form for forms in VALUE_FORMS.values() for form in forms)]
    assert len(set(forms)) == len(forms) and all(form.count("{0}") == 1 and form[-1] in "?." for form in forms)


@pytest.mark.parametrize(
    ("kind", "there", "absent"),
    [
        ("money", "A lost badge costs EUR 20.", "Badges are blue."),
        ("who", "The HR Manager decides.", "Badges are blue."),
        ("contact", "Write to desk@example.org.", "Badges are blue."),
        ("date", "It starts in March 2021.", "Badges are blue."),
        ("form", "Use the online form.", "Badges are blue."),
        ("statistic", "It takes 5 days to process.", "Badges are blue."),
    ],
)
def test_what_a_passage_gives_is_told_from_what_it_lacks(kind, there, absent):
    assert PRESENT[kind].search(there) and not PRESENT[kind].search(absent)
    assert set(PRESENT) == set(VALUE_FORMS)
