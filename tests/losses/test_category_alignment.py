import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.losses import CategoryAlignment
from tfrec.testing import check_loss

RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(14, 3)).astype("float32")
CATEGORIES = np.array([7, 2, 2, 7, 5, 9, 2, 5, 7, 0, 0, 7, 2, 5], "int32")


def by_hand(categories, vectors):
    """The double loop: a covariance for each category, the largest against each."""
    groups = {c: vectors[categories == c].astype(float) for c in set(categories) - {0}}
    groups = {c: rows for c, rows in groups.items() if len(rows) >= 2}
    if not groups:
        return 0.0
    covariance = {}
    for c, rows in groups.items():
        centred = rows - rows.mean(axis=0)
        covariance[c] = sum(np.outer(x, x) for x in centred) / (len(rows) - 1)
    major = min(groups, key=lambda c: (-len(groups[c]), c))
    others = [covariance[c] for c in groups if c != major]
    return sum(np.sum((covariance[major] - other) ** 2) for other in others)


@pytest.mark.parametrize("seed", range(4))
def test_matches_the_paper(seed):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(40, 5)).astype("float32")
    categories = random.integers(0, 3 + 3 * seed, 40)
    wanted = by_hand(categories, vectors)
    assert wanted > 1
    found = CategoryAlignment()(categories, vectors)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_the_smallest_id_of_the_largest_categories_is_major():
    # 2 and 7 have four rows each: three categories, so it matters which is major.
    wanted = by_hand(CATEGORIES, VECTORS)
    renamed = np.where(CATEGORIES == 2, 8, CATEGORIES)  # now 7 is the smaller
    other = by_hand(renamed, VECTORS)
    assert abs(wanted - other) > 0.1
    found = [CategoryAlignment()(c, VECTORS) for c in (CATEGORIES, renamed)]
    np.testing.assert_allclose(found, [wanted, other], rtol=1e-5)


def test_a_category_of_one_row_and_padding_change_nothing():
    kept = [i for i in range(14) if CATEGORIES[i] not in (0, 9)]
    loss = CategoryAlignment()
    wanted = loss(CATEGORIES[kept], VECTORS[kept])
    np.testing.assert_allclose(loss(CATEGORIES, VECTORS), wanted, rtol=1e-6)


def test_the_vectors_mean_does_not_matter():
    loss = CategoryAlignment()
    wanted = loss(CATEGORIES, VECTORS)
    np.testing.assert_allclose(loss(CATEGORIES, VECTORS + 3), wanted, rtol=1e-4)
    order = RANDOM.permutation(14)
    found = loss(CATEGORIES[order], VECTORS[order])
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    "categories", [np.full(14, 3), np.arange(1, 15), np.zeros(14, int)]
)
def test_nothing_to_align(categories):
    assert float(CategoryAlignment()(categories, VECTORS)) == 0
    assert float(CategoryAlignment()(categories[:1], VECTORS[:1])) == 0
    assert float(CategoryAlignment()(categories[:0], VECTORS[:0])) == 0


def test_rows_of_weight_0_are_absent():
    weight = np.float32([1, 1, 0, 2, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1])
    kept = weight != 0
    loss = CategoryAlignment()
    wanted = loss(CATEGORIES[kept], VECTORS[kept])
    found = loss(CATEGORIES, VECTORS, sample_weight=weight)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_long_ids_are_not_rounded():
    wide = np.where(CATEGORIES != 0, CATEGORIES.astype("int64") + 2**40, 0)
    found = CategoryAlignment()(wide, VECTORS)
    np.testing.assert_allclose(found, CategoryAlignment()(CATEGORIES, VECTORS))


def test_gradients_reach_the_major_category_and_the_others():
    x = tf.Variable(VECTORS)
    with tf.GradientTape() as tape:
        loss = CategoryAlignment()(CATEGORIES, x)
    found = tape.gradient(loss, x).numpy()
    for i in range(14):
        step = np.zeros_like(VECTORS, float)
        step[i, 1] = 1e-4
        ends = [by_hand(CATEGORIES, VECTORS + k * step) for k in (1, -1)]
        slope = (ends[0] - ends[1]) / 2e-4
        np.testing.assert_allclose(found[i, 1], slope, rtol=1e-3, atol=1e-4)
    assert np.abs(found[CATEGORIES == 2]).min() > 1e-4
    assert np.abs(found[CATEGORIES == 5]).min() > 1e-4


def test_contract():
    loss = CategoryAlignment(name="other")
    check_loss(loss, CATEGORIES, VECTORS)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is CategoryAlignment and again.name == "other"
    graph = tf.function(loss)(tf.constant(CATEGORIES), tf.constant(VECTORS))
    np.testing.assert_allclose(graph, again(CATEGORIES, VECTORS), rtol=1e-6)


def test_bad_inputs():
    message = r"CategoryAlignment: `y_true` must have shape \(batch\)"
    with pytest.raises(ValueError, match=message):
        CategoryAlignment()(VECTORS, VECTORS)
    message = r"CategoryAlignment: `y_pred` must have shape \(batch, dim\)"
    with pytest.raises(ValueError, match=message):
        CategoryAlignment()(CATEGORIES, CATEGORIES)
    with pytest.raises(TypeError, match="nonsense"):
        CategoryAlignment(nonsense=1)
