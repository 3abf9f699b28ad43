import numpy as np

from tfrec.export.cells import kmeans, nearest


def test_nearest_is_the_smallest_distance():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(200, 5)).astype("float32")
    centres = random.normal(size=(17, 5)).astype("float32")
    distance = ((vectors[:, None] - centres[None]) ** 2).sum(axis=2)
    near, gap = nearest(vectors, centres)
    np.testing.assert_array_equal(near, distance.argmin(axis=1))
    np.testing.assert_allclose(gap, distance.min(axis=1), atol=1e-4)


def test_kmeans_finds_planted_clusters():
    random = np.random.default_rng(1)
    planted = random.normal(size=(8, 6)) * 20
    of = random.integers(0, 8, 600)
    vectors = (planted[of] + random.normal(size=(600, 6)) * 0.1).astype("float32")
    for seed in range(3):
        centres = kmeans(vectors, 16, seed)
        _, gap = nearest(planted.astype("float32"), centres)
        assert (gap < 0.1).sum() >= 7, "a cell at nearly every cluster"


def test_every_cell_moves_to_the_mean_of_its_own():
    random = np.random.default_rng(2)
    vectors = random.normal(size=(90, 2)).astype("float32")
    centres = kmeans(vectors, 3)
    near, _ = nearest(vectors, centres)
    means = np.stack([vectors[near == cell].mean(axis=0) for cell in range(3)])
    np.testing.assert_allclose(centres, means, atol=0.2)
    np.testing.assert_array_equal(centres, kmeans(vectors, 3))


def test_equal_vectors_leave_cells_empty_but_finite():
    centres = kmeans(np.ones((20, 3), "float32"), 4)
    np.testing.assert_array_equal(centres, np.ones((4, 3)))
