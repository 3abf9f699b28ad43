import numpy as np

from tfrec.evaluation.retrieval import Retrieval, exact_pairs, exact_scores


def test_equal_vectors_have_equal_scores_wherever_they_stand():
    rng = np.random.default_rng(0)
    for dim in (3, 17, 64, 100):
        users = rng.normal(size=(13, 1, dim)).astype("float32")
        item = rng.normal(size=dim).astype("float32")
        for count in (1, 7, 64, 1001):
            scores = exact_scores(users, np.tile(item, (count, 1)))
            assert (scores == scores[:, :1]).all()
            pairs = exact_pairs(users, np.tile(item, (13, 2, 1)))
            np.testing.assert_array_equal(pairs[:, :1], scores[:, :1])


def test_the_best_interest_counts():
    users = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    assert exact_scores(users, np.array([[2.0, -1.0], [-3.0, 0.5]])).tolist() == [
        [2.0, 0.5]
    ]


def test_chunks_cover_every_item_that_takes_part():
    items = np.arange(14.0).reshape(7, 2)
    mask = np.array([1, 0, 1, 1, 0, 1, 1], bool)
    task = Retrieval("top_k", [[1, 1]], items, candidates=mask, item_chunk=2)
    chunks = list(task.item_chunks())
    assert [start for start, _ in chunks] == [0, 2, 4]
    np.testing.assert_array_equal(np.concatenate([v for _, v in chunks]), items[mask])
    assert task.take(np.array([[4]])).tolist() == [[[12.0, 13.0]]]
    assert task.largest_norm == np.hypot(12, 13)


def test_interests_share_the_user_chunk():
    task = Retrieval("top_k", np.ones((10, 4, 2)), np.eye(2), user_chunk=12)
    parts = [part.stop - part.start for part in task.user_chunks(np.arange(10))]
    assert parts == [3, 3, 3, 1]


def test_items_may_be_a_file_larger_than_memory(tmp_path):
    path = tmp_path / "items.npy"
    np.save(path, np.eye(6, dtype="float64"))
    items = np.load(path, mmap_mode="r")
    task = Retrieval("top_k", np.ones((1, 6)), items, item_chunk=4)
    assert np.shares_memory(task.items, items)
    assert [v.dtype for _, v in task.item_chunks()] == [np.float32] * 2
