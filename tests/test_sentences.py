"""What the sentence splitter promises; every expectation was written by hand."""

import pytest

from engine.sentences import sentences

CASES = {
    "a full stop, a question and an exclamation mark end a sentence": [
        "What now?",
        "Ask HR!",
        "They answer within two days.",
    ],
    "titles and initials do not": ["Mr. J. Smith and Dr. Anne Washington agree.", "Jo-Marie St. Martin does not."],
    "latin abbreviations do not": ["Add a note (e.g. who, what, where), i.e. the reason.", "It is short."],
    "section references do not": ["See Sec. 4.2 and No. 7 for it.", "Art. 5 applies as well."],
    "decimals and amounts do not": ["The price is 0.4 percent of 1,200.50 euros.", "It is due on 31 March."],
    "a clause number stays with its clause": ["4.2. Sick leave is paid for 12 days."],
    "a list number stays with its step": ["1. Fill in the form."],
    "an abbreviation inside a name does not": ["The U.S. Office of Personnel Management decides.", "It is quick."],
    "an abbreviation at the end does": ["He lives in the U.S.", "The policy applies to him."],
    "etc. at the end does": ["Bring receipts, bills, etc.", "The claim is then paid."],
    "the time of day at the end does": ["The desk closes at 5 p.m.", "Employees may call later."],
    "the time of day before a weekday does not": ["It starts at 9 a.m. Monday.", "Then it ends."],
    "a company at the end does": ["She works at Acme Inc.", "The contract says so."],
    "a company inside a name does not": ["The Acme Inc. Benefits Plan pays.", "It pays once."],
    "a short month does not": ["It starts on Jan. 5 and lasts a week.", "No extension is given."],
    "a label after its noun does": ["Fill in Form B.", "The form is online."],
    "brackets hold together": ["Staff (see No. 5. It says so.) may go.", "Others stay."],
    "a bracket may close the sentence": ["Leave ends (see 4.2).", "The rest lapses."],
    "quotation marks hold together": ['He said "Go. Now."', "Then he left."],
    "a statute citation holds together": ["See 5 U.S.C. 6329a and Pub. L. No. 114–328 for it.", "The law applies."],
    "a sentence may begin with a number": ["Unused days lapse.", "20 days must remain."],
    "a sentence may begin with a quotation mark": ["It is defined.", '"Leave year" means the calendar year.'],
    "addresses hold together": [
        "Write to leave.desk@example.org or see intranet.example.org/leave.html first.",
        "Wait.",
    ],
    "a semicolon does not end a sentence": ["agency workers, who have their own policy; and interns."],
    "no. as an answer does": ["The answer is no.", "Employees must ask again."],
    "an upper limit before a number does not": ["It takes max. 10 days and approx. 3 forms.", "It is free."],
}


@pytest.mark.parametrize("promise", CASES)
def test_sentences_end_where_a_reader_would_end_them(promise):
    assert sentences(" ".join(CASES[promise])) == CASES[promise]


def test_every_sentence_is_a_verbatim_part_in_order_and_nothing_is_lost():
    text = (
        "  One  applies\nto all. Two (see Sec. 4.\nIt holds.) follows!\n\nno capital here. \n\n \nThe last has no stop"
    )
    at = 0
    for sentence in sentences(text):
        found = text.index(sentence, at)
        assert text[at:found].strip() == ""
        at = found + len(sentence)
    assert text[at:].strip() == ""
    assert sentences(text) == [
        "One  applies\nto all.",
        "Two (see Sec. 4.\nIt holds.) follows!",
        "no capital here.",
        "The last has no stop",
    ]


def test_no_text_has_no_sentences():
    assert sentences("") == [] and sentences(" \n\n ") == []


def test_an_unclosed_bracket_does_not_swallow_the_rest():
    assert sentences("Use (a form. The form is online. It is short.") == [
        "Use (a form.",
        "The form is online.",
        "It is short.",
    ]
