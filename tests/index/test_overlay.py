import numpy as np
import pytest

from tfrec import index
from tfrec.index import overlay
from tfrec.index.search import Index


@pytest.fixture
def root(towers, tmp_path):
    index.build(tmp_path, towers.saved_models, towers.catalogue)
    return tmp_path


def best(reader, k=3, seed=0):
    query = np.random.default_rng(seed).normal(size=(1, 8)).astype("float32")
    return reader.search(query, k)[0][0].tolist()


def test_blocked_at_once_and_for_good(root, towers):
    reader = Index(root)
    first = best(reader)
    index.block(root, first[:2])
    assert best(reader)[0] == first[2]
    index.refresh(root, towers.saved_models, towers.catalogue)
    assert best(reader)[0] == first[2]
    index.unblock(root, first[:1])
    assert best(reader)[:2] == [first[0], first[2]]


def test_removed_until_the_catalogue_lacks_it(root, towers):
    reader = Index(root)
    first = best(reader)
    index.remove(root, first[:1])
    assert best(reader)[0] == first[1]
    # An old catalogue still has it: it stays away.
    index.refresh(root, towers.saved_models, towers.catalogue)
    assert best(reader)[0] == first[1]
    without = towers.catalogue[towers.catalogue["item"] != first[0]]
    index.refresh(root, towers.saved_models, without)
    assert best(reader)[0] == first[1]
    assert len(overlay.read(root, "string").removed) == 0
    index.refresh(root, towers.saved_models, towers.catalogue)
    assert best(reader) == first


def test_added_at_once_and_taken_over(root, towers):
    reader = Index(root)
    first = best(reader, k=700)
    row = towers.catalogue[towers.catalogue["item"] == first[0]]
    new = row.assign(item="brand new")
    assert index.add(root, towers.saved_models, new) == 1
    found = best(reader, k=701)
    assert set(found) == {*first, "brand new"} and len(found) == 701
    index.block(root, ["brand new"])
    assert "brand new" not in best(reader, k=701)
    index.unblock(root, ["brand new"])
    whole = type(new)(
        {n: [*towers.catalogue[n], *new[n]] for n in towers.catalogue.columns}
    )
    index.refresh(root, towers.saved_models, whole)
    assert best(reader, k=701) == found
    assert len(overlay.read(root, "string").added) == 0


def test_an_added_row_replaces_the_old_vector(root, towers):
    reader = Index(root)
    first = best(reader, k=700)
    last = towers.catalogue[towers.catalogue["item"] == first[-1]]
    index.add(root, towers.saved_models, last.assign(price=np.float32(1e6)))
    found = best(reader, k=700)
    assert sorted(found) == sorted(first), "no item is lost or stands twice"
    index.remove(root, [first[-1]])
    assert first[-1] not in best(reader, k=700)


def test_other_towers_are_refused(root, other_towers):
    with pytest.raises(ValueError, match="must be of the index's pair of towers"):
        index.add(root, other_towers.saved_models, other_towers.catalogue.iloc[:1])


def test_a_new_pair_forgets_old_vectors(root, towers, other_towers):
    new = towers.catalogue.iloc[:1].assign(item="brand new")
    index.add(root, towers.saved_models, new)
    index.build(root, other_towers.saved_models, towers.catalogue)
    assert "brand new" not in best(Index(root), k=701)


def test_errors(root, tmp_path):
    with pytest.raises(ValueError, match="`ids` must hold ids of the index's type"):
        index.block(root, [3])
    with pytest.raises(ValueError, match="`path` must be a folder that"):
        index.block(tmp_path / "none", ["a"])
