import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from tfrec import export
from tfrec.data import from_pandas
from tfrec.features import Categorical, FeatureSpec
from tfrec.losses import InBatchSoftmax
from tfrec.models import dat
from tfrec.optimizers import RowSparseAdagrad
from tfrec.testing import check_model, planted
from tfrec.testing.layers import quiet_saving

NAMES = {"user_id": "user_id", "item_id": "item_id"}


@pytest.fixture(scope="module")
def colours(frame, tmp_path_factory):
    """The columns of the towers that matter here, and a category of the items."""
    columns = [
        Categorical("user_id", side="user", embedding_dim=8),
        Categorical("city", side="context", embedding_dim=8),
        Categorical("item_id", side="item", embedding_dim=8),
        Categorical("colour", side="item", embedding_dim=4),
    ]
    spec = FeatureSpec(columns, labels=["click"], weight="weight")
    return spec.adapt(frame, tmp_path_factory.mktemp("colours"))


def make(spec, **options):
    options = {**NAMES, "hidden_units": (8, 4), "seed": 1, **options}
    model = dat(spec, **options)
    model.compile(RowSparseAdagrad(0.2), InBatchSoftmax())
    return model


@pytest.fixture(scope="module")
def x(frame, colours):
    rows = next(iter(from_pandas(frame[:40], colours, batch_size=40)))
    return keras.tree.map_structure(lambda value: value.numpy(), rows)


def weights_of(model, part):
    return [w.numpy().astype(float) for w in model.weights if part in w.path]


def vectors_by_hand(model, spec, x):
    """p_u, p_v, a_u, a_v from the model's weights, in float64."""
    found, augmented = [], []
    for side, own in (("user", "user_id"), ("item", "item_id")):
        h = []
        for name in (
            n for n in spec.names if (n in ("item_id", "colour")) == (side == "item")
        ):
            dim = spec[name].embedding_dim
            (rows,) = weights_of(model, f"embeddings_{side}_{dim}/")
            names = [t.columns[0] for t in spec.tables.values() if t.columns[0] in x]
            before = [
                spec.tables[n].rows
                for n in names[: names.index(name)]
                if spec.tables[n].sides == spec.tables[name].sides
                and spec.tables[n].embedding_dim == dim
            ]
            h.append(rows[sum(before) + x[name]])
        (rows,) = weights_of(model, f"augmented_{side}_4/")
        augmented.append(rows[x[own]])
        h = np.concatenate([*h, augmented[-1]], axis=1)
        w1, b1, w2, b2 = weights_of(model, f"dat_{side}_mlp")
        h = np.maximum(h @ w1 + b1, 0) @ w2 + b2
        found.append(h / np.linalg.norm(h, axis=1, keepdims=True))
    return *found, *augmented


def losses_by_hand(model, spec, rows, temperature=0.05):
    """eq. 9 with the softmax in the batch: total and its three other terms."""
    x, r, w = rows
    u, v, a_u, a_v = vectors_by_hand(model, spec, x)
    log_q = model.log_q.numpy().astype(float)
    ids, n = x["item_id"], len(r)
    pairs = 0.0
    for i in range(n):
        scores = {
            j: u[i] @ v[j] / temperature - log_q[ids[j]]
            for j in range(n)
            if j == i or ids[j] != ids[i]
        }
        norm = np.log(sum(np.exp(s) for s in scores.values()))
        pairs += w[i] * r[i] * (norm - scores[i]) / w.sum()
    mimic_user = sum(w * r * np.sum((a_u - v) ** 2, axis=1)) / w.sum()
    mimic_item = sum(w * r * np.sum((a_v - u) ** 2, axis=1)) / w.sum()
    groups = {c: v[x["colour"] == c] for c in set(x["colour"])}
    groups = {c: np.cov(rows.T) for c, rows in groups.items() if len(rows) > 1}
    sizes = {c: (-np.sum(x["colour"] == c), c) for c in groups}
    major = groups.pop(min(groups, key=sizes.get))
    alignment = sum(np.sum((major - other) ** 2) for other in groups.values())
    return pairs, mimic_user, mimic_item, alignment


def test_matches_the_paper(colours, x):
    model = make(colours, category="colour", mimic=(0.3, 0.7), alignment=2.0)
    for weight in model.weights:
        if "bias" in weight.path or "table" in weight.path:
            values = np.random.default_rng(3).normal(size=weight.shape)
            weight.assign(0.5 * values)
    inputs, r, w = x
    r = np.random.default_rng(0).uniform(size=len(r)).astype("float32")
    pairs, *others = losses_by_hand(model, colours, (inputs, r, w))
    assert min(pairs, *others) > 1e-3
    found = model.evaluate(
        inputs, r, sample_weight=w, batch_size=len(r), verbose=0, return_dict=True
    )
    wanted = dict(zip(("mimic_user", "mimic_item", "alignment"), others, strict=True))
    wanted["loss"] = pairs + 0.3 * others[0] + 0.7 * others[1] + 2.0 * others[2]
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)


def test_mimic_moves_augmented_vectors_and_no_tower(colours, x):
    """With the loss of the pairs at 0 (one row), only a_u and a_v are drawn."""
    inputs, r, w = x
    one = {name: value[:1] for name, value in inputs.items()}
    model = make(colours, unknown_rate=0.0)
    before = {weight.path: weight.numpy() for weight in model.weights}
    u, v, a_u, a_v = vectors_by_hand(model, colours, one)
    model.train_on_batch(one, np.ones(1, "float32"))
    moved = {w.path for w in model.weights if (w.numpy() != before[w.path]).any()}
    assert moved == {"augmented_user_4/table", "augmented_item_4/table"}
    _, _, after_u, after_v = vectors_by_hand(model, colours, one)
    assert np.sum((after_u - v) ** 2) < np.sum((a_u - v) ** 2)
    assert np.sum((after_v - u) ** 2) < np.sum((a_v - u) ** 2)
    # Rows that are no positives are not mimicked.
    model = make(colours, unknown_rate=0.0)
    found = model.evaluate(inputs, 0 * r, batch_size=40, verbose=0, return_dict=True)
    assert found["mimic_user"] == found["mimic_item"] == 0


def test_towers_hold_their_own_augmented_table(colours):
    model = make(colours, category="colour")
    for side, other in (("user", "item"), ("item", "user")):
        paths = {w.path for w in getattr(model, f"{side}_tower").weights}
        assert f"augmented_{side}_4/table" in paths
        assert not [path for path in paths if f"_{other}" in path]
    assert model.user_tower.get_layer("augmented_user_4").rows == (
        colours.tables["user_id"].rows,
    )


@pytest.mark.slow
def test_saving(colours, x, tmp_path):
    inputs, r, w = x
    model = make(colours, category="colour", mimic=(0.1, 0.2), alignment=0.3)
    model.fit(inputs, r, sample_weight=w, batch_size=20, shuffle=False, verbose=0)
    with quiet_saving():
        model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for name in ("mimic", "alignment", "category", "tower_names", "user_inputs"):
        assert loaded.get_config()[name] == model.get_config()[name]
    found = [m.evaluate(inputs, r, batch_size=40, verbose=0) for m in (model, loaded)]
    assert found[0] == found[1] and len(found[0]) == 4


def test_export_holds_neither_category_nor_the_other_side(colours, frame, tmp_path):
    model = make(colours, category="colour")
    places = export.save(model, colours, tmp_path, examples=frame[:3])
    assert set(places) == {"user_tower", "item_tower"}


@pytest.mark.slow
def test_contract(colours, frame):
    check_model(
        lambda: make(colours, category="colour", dropout=0.2, unknown_rate=0.1),
        colours,
        frame,
    )


def vectors(tower, rows, spec):
    return tower.predict(from_pandas(rows, spec, batch_size=500), verbose=0)


@pytest.mark.slow
def test_augmented_vectors_stand_for_the_items_of_a_user(tmp_path):
    """a_u is a query of its own: its nearest items are to the user's taste."""
    log = planted.taste_clusters()
    columns = [
        Categorical("user_id", side="user"),
        Categorical("city", side="user"),
        Categorical("item_id", side="item"),
        Categorical("colour", side="item"),
    ]
    spec = FeatureSpec(columns).adapt(log.frame, tmp_path)
    found = {}
    for name, mimic in {"with": (0.5, 0.5), "without": (0.0, 0.0)}.items():
        model = make(spec, hidden_units=(16,), temperature=0.2, mimic=mimic)
        rows = from_pandas(log.frame, spec, batch_size=128, shuffle=True)
        model.fit(rows, epochs=12, shuffle=False, verbose=0)
        both = pd.concat([log.users, log.items], axis=1)
        items = vectors(model.item_tower, both, spec)
        ids, _ = next(iter(from_pandas(both, spec, batch_size=500)))
        table = model.user_tower.get_layer("augmented_user_16").table.numpy()
        best = np.argsort(-table[ids["user_id"]] @ items.T, axis=1)[:, :10]
        found[name] = np.take_along_axis(log.relevant, best, axis=1).mean()
    assert found["with"] > 0.9 and found["without"] < 0.5, found


def imbalanced(seed=0):
    """Rows of one large and three small categories with the same tastes in each."""
    random = np.random.default_rng(seed)
    users, items, styles, rows = 200, 40, 4, 6000
    taste = random.integers(0, styles, users)
    user = random.integers(0, users, rows)
    category = random.choice(4, rows, p=[0.94, 0.02, 0.02, 0.02])
    number = taste[user] + styles * random.integers(0, items // styles, rows)
    frame = {
        "user_id": [f"u{u}" for u in user],
        "item_id": [f"c{c}i{n}" for c, n in zip(category, number, strict=True)],
        "category": [f"c{c}" for c in category],
    }
    return pd.DataFrame(frame)


@pytest.mark.slow
def test_alignment_evens_out_how_categories_vary(tmp_path):
    log = imbalanced()
    columns = [
        Categorical("user_id", side="user"),
        Categorical("item_id", side="item"),
        Categorical("category", side="item"),
    ]
    spec = FeatureSpec(columns).adapt(log, tmp_path)
    catalogue = log.drop_duplicates("item_id").reset_index(drop=True)
    gaps = {}
    for name, alignment in {"with": 1.0, "without": 0.0}.items():
        model = make(
            spec,
            category="category",
            hidden_units=(16,),
            temperature=0.2,
            alignment=alignment,
        )
        rows = from_pandas(log, spec, batch_size=256, shuffle=True)
        model.fit(rows, epochs=6, shuffle=False, verbose=0)
        items = vectors(model.item_tower, catalogue, spec)
        of_category = [
            np.cov(items[catalogue["category"] == f"c{c}"].T) for c in range(4)
        ]
        gaps[name] = [np.sum((of_category[0] - c) ** 2) for c in of_category[1:]]
    assert min(gaps["without"]) > 0.1, gaps
    assert max(gaps["with"]) < 0.5 * min(gaps["without"]), gaps


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"user_id": "city"}, 'dat: `user_id` must name a Categorical of side "user"'),
        ({"item_id": "user_id"}, '`item_id` must name a Categorical of side "item"'),
        (
            {"category": "kind"},
            'dat: `category` must name a Categorical of side "item". Received: '
            r"category='kind' \(str\). The spec has \"item_id\", \"colour\".",
        ),
        ({"mimic": 0.5}, "`mimic` must be a pair of numbers"),
        ({"mimic": (0.5, -1)}, "`mimic` must be a number >= 0"),
        ({"alignment": -1}, "`alignment` must be a number >= 0"),
        ({"hidden_units": ()}, "dat: `hidden_units` must name at least the width"),
        ({"final_activation": "relo"}, "must be the name of a Keras activation"),
        ({"log_q": 1}, "dat: `log_q` must be True or False"),
    ],
)
def test_bad_arguments(colours, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(colours, **arguments)


def test_bad_specs(colours):
    with pytest.raises(TypeError, match="nonsense"):
        dat(colours, **NAMES, nonsense=1)
    with pytest.raises(TypeError, match="dat: `spec` must be a FeatureSpec"):
        dat("spec", **NAMES)
    unnamed = dataclasses.replace(colours, weight=None).select(["user_id", "city"])
    message = '`item_id` must name a Categorical of side "item".*The spec has none'
    with pytest.raises(ValueError, match=message):
        dat(unnamed, **NAMES)
