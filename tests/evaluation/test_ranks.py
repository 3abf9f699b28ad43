import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.evaluation import target_rank, target_rank_of_scores, top_k


def by_hand(scores, target, ties, banned=()):
    others = [s for i, s in enumerate(scores) if i != target and i not in banned]
    above = sum(s > scores[target] for s in others)
    equal = sum(s == scores[target] for s in others)
    return 1 + above + {"pessimistic": 1, "optimistic": 0, "average": 0.5}[ties] * equal


@pytest.mark.parametrize(
    ("ties", "rank"), [("pessimistic", 4.0), ("optimistic", 2.0), ("average", 3.0)]
)
def test_ties_of_the_reference(ties, rank):
    scores = [0.5, 0.9, 0.5, 0.1, 0.5]
    items = np.array(scores)[:, None]
    assert target_rank([[1.0]], items, [0], ties=ties).tolist() == [rank]
    assert target_rank_of_scores([scores], [0], ties=ties).tolist() == [rank]


def test_a_constant_model_comes_last():
    # Equal vectors tie wherever they stand in a chunk; 0.1 is not exact in binary.
    items = np.full((101, 24), 0.1)
    for item_chunk in (1000, 33, 8):
        ranks = target_rank(
            np.full((9, 24), 0.3), items, [7] * 9, item_chunk=item_chunk
        )
        assert ranks.tolist() == [101.0] * 9


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    users=st.integers(1, 4),
    items=st.integers(1, 9),
    user_chunk=st.integers(1, 5),
    item_chunk=st.integers(1, 10),
    ties=st.sampled_from(["pessimistic", "optimistic", "average"]),
)
def test_equals_counting_by_hand(data, users, items, user_chunk, item_chunk, ties):
    cells = st.lists(st.integers(-2, 2), min_size=items, max_size=items)
    scores = np.array([data.draw(cells) for _ in range(users)], "float32")
    targets = [data.draw(st.integers(0, items - 1)) for _ in range(users)]
    seen = [
        [i for i in data.draw(st.lists(st.integers(0, items - 1))) if i != target]
        for target in targets
    ]
    want = [
        by_hand(row, target, ties, banned)
        for row, target, banned in zip(scores, targets, seen, strict=True)
    ]
    chunks = {"user_chunk": user_chunk, "item_chunk": item_chunk}
    got = target_rank(scores, np.eye(items), targets, exclude=seen, ties=ties, **chunks)
    assert got.tolist() == want
    got = target_rank_of_scores(scores, targets, exclude=seen, ties=ties)
    assert got.tolist() == want


def test_agrees_with_top_k_where_scores_differ():
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(40, 3, 8)), rng.normal(size=(200, 8))
    mask = rng.random(200) < 0.8
    ids = np.array([f"item {i}" for i in range(200)])
    seen = [rng.choice(ids, 30) for _ in range(40)]
    live = rng.integers(1, 4, 40)
    options = {"item_ids": ids, "exclude": seen, "candidates": mask}
    best = top_k(users, items, 200, num_interests=live, **options)
    for place in (0, 3, 50):
        ranks = target_rank(
            users,
            items,
            best.ids[:, place],
            num_interests=live,
            item_chunk=37,
            **options,
        )
        assert ranks.tolist() == [place + 1.0] * 40


def test_excluded_items_are_not_ranked():
    scores = [[0.9, 0.8, 0.8, 0.1]]
    assert target_rank_of_scores(scores, [3]).tolist() == [4.0]
    assert target_rank_of_scores(scores, [3], exclude=[[0, 1, 1]]).tolist() == [2.0]
    assert target_rank_of_scores(scores, [1], exclude=[[2]]).tolist() == [2.0]


def test_infinite_scores_are_ordered():
    scores = [[np.inf, 1.0, -np.inf], [np.inf, np.inf, -np.inf]]
    assert target_rank_of_scores(scores, [2, 0]).tolist() == [3.0, 2.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ties": "worst"}, "`ties` must be one of 'pessimistic', 'optimistic', 'ave"),
        ({"targets": ["a"]}, "`targets` must have shape (2)"),
        ({"targets": [0, 1]}, "`targets` must hold strings, as the item ids are"),
        ({"targets": ["a", "z"]}, "must be among the items. Received: targets='z of u"),
        ({"exclude": [["b"], ["b"]]}, "`targets` must be an item that is not excluded"),
        ({"candidates": [True, False]}, "`targets` must be among `candidates`"),
        (
            {"user_vectors": [[np.nan], [0.0]]},
            "`user_vectors` must hold finite numbers",
        ),
        ({"item_ids": ["a", "a"]}, "`item_ids` must not hold an id twice"),
    ],
)
def test_bad_arguments(options, message):
    arguments = {
        "user_vectors": [[1.0], [2.0]],
        "item_vectors": [[1.0], [2.0]],
        "targets": ["a", "b"],
        "item_ids": ["a", "b"],
    }
    with pytest.raises(ValueError) as error:
        target_rank(**(arguments | options))
    assert message in str(error.value)
    assert str(error.value).startswith("target_rank: ")


def test_bad_arguments_of_the_matrix_form():
    with pytest.raises(
        ValueError, match="target_rank_of_scores: `ties` must be one of"
    ):
        target_rank_of_scores([[1.0]], [0], ties="none")
    with pytest.raises(ValueError, match="`scores` must not hold NaN"):
        target_rank_of_scores([[np.nan]], [0])
    with pytest.raises(ValueError, match="0 of user 0, 1 in all.*rank inf"):
        target_rank_of_scores([[1.0, 2.0]], [0], exclude=[[0]])
