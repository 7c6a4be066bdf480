"""Where a second model got better and where worse, on questions whose truth we set."""

from evals.slices import sliced


def asked(*groups):
    """(facets, fixed, broken, same) -> before, after, clusters, facets; each question is a fact of its own."""
    before, after, facets = [], [], []
    for facet, fixed, broken, same in groups:
        before += [False] * fixed + [True] * broken + [True] * same
        after += [True] * fixed + [False] * broken + [True] * same
        facets += [facet] * (fixed + broken + same)
    return before, after, [str(n) for n in range(len(before))], facets


def test_the_worst_slice_comes_first_and_the_small_ones_last():
    found = sliced(
        *asked(({"clause": "leave"}, 9, 1, 10), ({"clause": "pay"}, 0, 10, 10), ({"clause": "pets"}, 0, 3, 0))
    )
    assert [each.title for each in found] == ["clause: pay", "clause: leave", "clause: pets"]
    assert found[0].change.value == -0.5 and found[0].p_holm == 2 * 2 / 2**10
    assert found[1].p_holm == 2 * 11 / 2**10  # the larger of the two stays as it is: 2 * (1 + 10) / 1024
    assert found[2].p_holm is None


def test_a_facet_without_a_second_side_is_no_slicing_and_the_same_questions_are_one_slice():
    both = {"task": "policy_qa", "kind": "unanswerable", "slice": "off topic"}
    found = sliced(*asked((both, 0, 2, 10), ({"task": "policy_qa", "kind": "answerable"}, 5, 0, 10)))
    assert sorted(each.title for each in found) == ["kind: answerable", "kind: unanswerable"]


def test_holm_corrects_for_the_slices_that_are_judged_and_no_others():
    groups = [({"clause": str(n)}, 0, 0, 12) for n in range(4)] + [({"clause": "small"}, 0, 0, 2)]
    found = sliced(*asked(({"clause": "worse"}, 0, 8, 4), *groups))
    assert found[0].p_holm == 5 * 2 / 2**8


def test_no_slices_of_no_questions():
    assert sliced([], [], [], []) == []
