import json
import socket
import types

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec import data, evaluation, export, losses, models, optimizers, serving
from tfrec.features import Categorical, FeatureSpec, Numeric, Sequence, wire

ITEMS = 40
LOWEST = np.finfo(np.float32).min
KINDS = [
    pytest.param(True, id="string"),
    pytest.param(False, id="int64", marks=pytest.mark.slow),
]


def item_name(number, text):
    return f"Äpfel {number}" if text else 10**15 + number


def make(folder, text, seed=0):
    """Two towers, a ranker, a catalogue with items that no log has shown."""
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    rows = 300
    names = np.array([item_name(n, text) for n in range(ITEMS)], object)
    picked = names[random.zipf(1.6, rows) % (ITEMS - 5)]
    if not text:
        picked = picked.astype("int64")
    log = pd.DataFrame(
        {
            "user": random.integers(0, 30, rows),
            "history": [
                list(random.choice(names[:-5], random.integers(0, 6)))
                for _ in range(rows)
            ],
            "hour": random.integers(0, 24, rows).astype("float32"),
            "item": picked,
            "price": random.lognormal(1, 1, rows).astype("float32"),
            "click": random.integers(0, 2, rows).astype("float32"),
        }
    )
    dtype = "string" if text else "int64"
    spec = FeatureSpec(
        [
            Categorical("user", side="user", dtype="int64", embedding_dim=4),
            Sequence("history", of="item", max_length=4),
            Numeric("hour", side="context", scaling="standard"),
            Categorical("item", side="item", dtype=dtype, embedding_dim=4),
            Numeric("price", side="item", scaling="log1p"),
        ],
        labels=["click"],
    ).adapt(log, folder / "vocabularies")
    model = models.dssm(spec, item_id="item", hidden_units=(6,), seed=seed)
    model.compile(optimizers.RowSparseAdagrad(0.1), losses.InBatchSoftmax())
    fed = data.from_pandas(log, spec, batch_size=100)
    model.fit(fed, epochs=1, shuffle=False, verbose=0)
    ranker = models.deepfm(spec, hidden_units=(6,), seed=seed)
    ranker.compile(
        optimizers.RowSparseAdagrad(0.1),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    ranker.fit(fed, epochs=1, shuffle=False, verbose=0)
    catalogue = pd.DataFrame(
        {
            "item": names if text else names.astype("int64"),
            "price": random.lognormal(1, 1, ITEMS).astype("float32"),
        }
    )
    users = pd.DataFrame(
        {
            "user": [3, 4, 5, -1, 10**12],
            "history": [list(names[:3]), [], list(names[7:9]), [names[-1]], []],
            "hour": np.arange(5, dtype="float32"),
        }
    )
    return types.SimpleNamespace(
        spec=spec, model=model, ranker=ranker, catalogue=catalogue, users=users, log=log
    )


@pytest.fixture(
    scope="module",
    params=[True, pytest.param(False, marks=pytest.mark.slow)],
    ids=["string", "int64"],
)
def case(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recommender")
    case = make(folder, request.param)
    common = {"k": 12, "n": 5}
    case.root = folder / "m"
    export.save(case.model, case.spec, case.root)
    export.save_recommender(
        case.model,
        case.spec,
        case.catalogue,
        case.root,
        ranker=case.ranker,
        examples=case.log,
        **common,
    )
    case.retrieval_only = export.save_recommender(
        case.model, case.spec, case.catalogue, folder / "plain", **common
    )["recommender"]
    case.folder = case.root / "recommender" / "1"
    case.serve = open_(case, case.folder)
    case.plain = open_(case, case.retrieval_only)
    return case


def ids_of(case, values):
    """Item names as the wire has them."""
    if case.spec["item"].dtype == "int64":
        return np.asarray(values, np.int64).reshape(len(values))
    return np.array([v.encode() for v in values], object)


def padded(case, lists):
    width = max(map(len, lists), default=0)
    filler = -1 if case.spec["item"].dtype == "int64" else b""
    dtype = np.int64 if filler == -1 else object
    out = np.full((len(lists), width), filler, dtype)
    for row, values in enumerate(lists):
        out[row, : len(values)] = ids_of(case, values)
    return out


def open_(case, folder, signature="serving_default"):
    loaded = tf.saved_model.load(str(folder))
    serve = loaded.signatures[signature]
    dtype = tf.as_dtype(case.spec["item"].dtype)

    def ask(users, exclude=((),), allow=((),), k=12, n=5, **more):
        names = ["user", "history", "hour"]
        request = {
            name: tf.constant(value)
            for name, value in wire(case.spec, users, names).items()
        }
        request["exclude"] = tf.constant(padded(case, list(exclude)), dtype)
        request["allow"] = tf.constant(padded(case, list(allow)), dtype)
        request |= {"k": tf.constant(k), "n": tf.constant(n)}
        request |= {name: tf.constant(value) for name, value in more.items()}
        return {name: value.numpy() for name, value in serve(**request).items()}

    ask.loaded = loaded
    return ask


def parts(case, users):
    """User vectors, item vectors and the ranker's logits, from Keras alone."""
    spec, size = case.spec, len(case.catalogue)

    def run(model, frame):
        names = [tensor.name for tensor in model.inputs]
        rows = data.from_pandas(frame, spec, columns=names)
        return model.predict(rows, verbose=0)

    user = run(case.model.user_tower, users)
    item = run(case.model.item_tower, case.catalogue)
    pairs = users.loc[users.index.repeat(size)].reset_index(drop=True)
    pairs["item"] = np.tile(case.catalogue["item"].to_numpy(), len(users))
    pairs["price"] = np.tile(case.catalogue["price"].to_numpy(), len(users))
    logits = run(case.ranker, pairs).reshape(len(users), size)
    return user, item, logits


def expected(case, users, exclude, allow, k, n, ranked):
    """What the funnel must answer, in NumPy: a list of (id, score, retrieval)."""
    user, item, logits = parts(case, users)
    names = list(ids_of(case, list(case.catalogue["item"])))
    counted = case.log["item"].value_counts()
    share = [counted.get(v, 0) / len(case.log) for v in case.catalogue["item"]]
    answer = []
    for row in range(len(users)):
        known_items = set(case.spec.vocabulary("item").values())
        known = users["user"][row] in set(case.log["user"]) or any(
            value in known_items for value in users["history"][row]
        )
        score = user[row].astype("float64") @ item.T.astype("float64")
        score = score if known else np.array(share)
        banned = set(ids_of(case, list(exclude[row])))
        only = set(ids_of(case, list(allow[row])))
        score = np.array(
            [
                -np.inf if name in banned or (only and name not in only) else value
                for name, value in zip(names, score, strict=True)
            ]
        )
        kept = np.argsort(-score, kind="stable")[: max(k, n)]
        kept = [i for i in kept if score[i] > -np.inf]
        final = score
        if ranked and known:
            final = 1 / (1 + np.exp(-logits[row].astype("float64")))
            kept.sort(key=lambda i: -logits[row][i])
        kept = kept[:n]
        found = [(names[i], final[i], score[i]) for i in kept]
        answer.append((found, "personal" if known else "popular"))
    return answer


def check(found, wanted):
    longest = max((len(rows) for rows, _ in wanted), default=0)
    assert found["item_id"].shape == (len(wanted), longest)
    for row, (rows, source) in enumerate(wanted):
        count = len(rows)
        assert found["count"][row] == count
        assert found["source"][row] == source.encode()
        assert found["item_id"][row][:count].tolist() == [r[0] for r in rows]
        for column, name in ((1, "score"), (2, "retrieval_score")):
            values = [r[column] for r in rows]
            np.testing.assert_allclose(found[name][row][:count], values, atol=1e-5)
            assert (found[name][row][count:] == LOWEST).all()
        assert set(found["item_id"][row][count:].tolist()) <= {b"", -1}


@pytest.mark.parametrize("ranked", [True, False], ids=["ranked", "retrieval"])
def test_equals_its_parts(case, ranked):
    ask = case.serve if ranked else case.plain
    users, names = case.users, list(case.catalogue["item"])
    nothing = [[]] * len(users)
    check(ask(users), expected(case, users, nothing, nothing, 12, 5, ranked))
    exclude = [names[:4], [], names[::2], names, names[:1]]
    allow = [[], names[3:9], names[:30], [], [item_name(99, type(names[0]) is str)]]
    wanted = expected(case, users, exclude, allow, 7, 9, ranked)
    check(ask(users, exclude, allow, k=7, n=9), wanted)
    assert wanted[3][0] == [] and wanted[4][0] == [], "nothing is left for these"
    assert {source for _, source in wanted} == {"personal", "popular"}


def test_one_user_of_a_batch_gets_the_same(case):
    whole = case.serve(case.users)
    for row in range(len(case.users)):
        one = case.serve(case.users.iloc[[row]].reset_index(drop=True))
        count = whole["count"][row]
        assert one["item_id"][0].tolist() == whole["item_id"][row][:count].tolist()
        np.testing.assert_allclose(
            one["score"][0], whole["score"][row][:count], atol=1e-6
        )


def test_one_list_of_exclusions_serves_all_users(case):
    names = list(case.catalogue["item"])[:20]
    one = case.serve(case.users, exclude=[names])
    each = case.serve(case.users, exclude=[names] * len(case.users))
    assert one["item_id"].tolist() == each["item_id"].tolist()
    assert not set(one["item_id"].ravel()) & set(ids_of(case, names))


@hypothesis.settings(max_examples=40)
@hypothesis.given(data=st.data())
def test_never_an_excluded_item_and_never_too_few(case, data):
    names = list(case.catalogue["item"])
    unknown = item_name(77, type(names[0]) is str)
    chosen = st.lists(st.sampled_from([*names, unknown]), max_size=60)
    exclude = data.draw(chosen)
    allow = data.draw(st.one_of(st.just([]), chosen))
    k, n = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    ask = data.draw(st.sampled_from([case.serve, case.plain]))
    users = case.users.iloc[[data.draw(st.integers(0, 4))]].reset_index(drop=True)
    found = ask(users, [exclude], [allow], k=k, n=n)
    given = found["item_id"][0].tolist()
    allowed = set(ids_of(case, names)) - set(ids_of(case, exclude))
    if allow:
        allowed &= set(ids_of(case, allow))
    assert set(given) <= allowed
    assert len(set(given)) == len(given) == found["count"][0]
    assert len(given) == min(n, len(allowed))


def test_the_signature_without_the_ranker(case):
    fallback = open_(case, case.folder, "retrieval")
    wanted, found = case.plain(case.users), fallback(case.users)
    assert set(found["source"].tolist()) == {b"retrieved", b"popular"}
    for name in set(wanted) - {"source"}:
        np.testing.assert_array_equal(found[name], wanted[name])


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["", "http://"])
def test_the_client_always_has_an_answer(case, scheme, monkeypatch):
    users, told = case.users, {"n": 4}
    allowed = [[case.catalogue["item"][3]]] * len(users)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    rest = [f"--rest_api_port={port}"]
    with serving.local_server(case.root, arguments=rest) as server:
        address = f"http://127.0.0.1:{port}" if scheme else server.address
        with serving.Client(address, case.root, timeout=20) as client:
            found = client.recommend(users, parameters=told)
            wanted = client.predict("recommender", users, parameters=told)
            for name in wanted:
                np.testing.assert_array_equal(found[name], wanted[name])
            send, asked = client._send, []

            def late(request, deadline):
                asked.append(request)
                if b"retrieval" not in request.data and "metadata" not in request.place:
                    raise serving.ServingError("late", "DEADLINE_EXCEEDED")
                return send(request, deadline)

            monkeypatch.setattr(client, "_send", late)
            found = client.recommend(users, parameters=told)
            assert set(found["source"].tolist()) == {b"retrieved", b"popular"}
            assert asked[0].share < 1
            with pytest.raises(serving.ServingError, match="late"):
                client.recommend(users, parameters=told, fallback=False)
    with serving.Client(address, case.root, timeout=0.5) as client:  # nobody there
        found = client.recommend(users, parameters=told)
        assert set(found["source"].tolist()) == {b"popular"}
        unknown = np.flatnonzero(wanted["source"] == b"popular")
        for name in wanted:
            np.testing.assert_array_equal(found[name][unknown], wanted[name][unknown])
        told = {"allow": allowed, "n": 4}
        assert client.recommend(users, parameters=told)["count"].max() <= 1
        with pytest.raises(serving.ServingError):
            client.recommend(users, fallback=False)
        with pytest.raises(ValueError, match="parameters"):
            client.recommend(users, parameters={"m": 4})


def test_empty_batch(case):
    found = case.serve(case.users.iloc[:0].astype({"history": object}))
    assert found["item_id"].shape == (0, 0) and found["count"].shape == (0,)


def test_refuses_no_items(case):
    with pytest.raises(tf.errors.InvalidArgumentError, match="`n` must be an int >= 1"):
        case.serve(case.users, n=0)


def test_document_and_defaults(case):
    from tensorflow.core.protobuf import saved_model_pb2

    text = (case.folder / "assets.extra" / "feature_spec.json").read_text()
    document = json.loads(text)
    assert list(document["inputs"]) == ["user", "history", "hour"]
    dtype = case.spec["item"].dtype
    lists = {"dtype": dtype, "shape": [None, None], "default": [[]]}
    assert document["parameters"] == {
        "exclude": lists,
        "allow": lists,
        "k": {"dtype": "int32", "shape": [], "default": 12},
        "n": {"dtype": "int32", "shape": [], "default": 5},
    }
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((case.folder / "saved_model.pb").read_bytes())
    signature = message.meta_graphs[0].signature_def["serving_default"]
    defaults = {
        name: tf.make_ndarray(proto) for name, proto in signature.defaults.items()
    }
    assert defaults["exclude"].shape == (1, 0)
    assert defaults["k"] == 12 and defaults["n"] == 5


def test_pair_ids_agree(case):
    told = {
        name: json.loads(
            (case.root / name / "1/assets.extra/feature_spec.json").read_text()
        )["pair_id"]
        for name in ("user_tower", "item_tower", "recommender")
    }
    vectors = export.vectors(case.model, case.spec, case.catalogue)
    assert set(told.values()) == {vectors.pair_id}
    served = case.serve.loaded.signatures["pair_id"]()["pair_id"].numpy()
    assert served == vectors.pair_id.encode()


@pytest.mark.slow
def test_interests_are_merged_without_duplicates(case, tmp_path):
    model = models.mind(case.spec, item_id="item", num_interests=3, seed=0)
    place = export.save_recommender(
        model, case.spec, case.catalogue, tmp_path, k=12, n=8
    )["recommender"]
    users = case.users.copy()
    users.at[0, "history"] = list(case.catalogue["item"][:4])
    found = open_(case, place)(users, n=8)
    names = [tensor.name for tensor in model.user_tower.inputs]
    rows = data.from_pandas(users, case.spec, columns=names)
    vectors, alive = model.user_tower.predict(rows, verbose=0)
    assert len(set(alive.tolist())) > 1, "users with one interest, and with more"
    best = evaluation.top_k(
        vectors,
        export.vectors(model, case.spec, case.catalogue).vectors,
        8,
        item_ids=case.catalogue["item"].to_numpy(),
        num_interests=np.maximum(alive.astype(int), 1),
    )
    for row in np.flatnonzero(found["source"] == b"personal"):
        wanted = ids_of(case, best.ids[row].tolist()).tolist()
        assert found["item_id"][row].tolist() == wanted
        np.testing.assert_allclose(found["score"][row], best.scores[row], atol=1e-5)
    tower = export.save(model, case.spec, tmp_path)["user_tower"]
    serve = tf.saved_model.load(str(tower)).signatures["serving_default"]
    assert set(serve.structured_outputs) == {"num_interests", "user_embedding"}


@pytest.mark.slow
def test_cells(case, tmp_path):
    place = export.save_recommender(
        case.model,
        case.spec,
        case.catalogue,
        tmp_path,
        ranker=case.ranker,
        k=12,
        n=5,
        cells=6,
        probes=2,
    )["recommender"]
    ask = open_(case, place)
    users, names = case.users, list(case.catalogue["item"])
    nothing = [[]] * len(users)
    wanted = expected(case, users, nothing, nothing, 12, 5, True)
    personal = [row for row in range(len(users)) if wanted[row][1] == "personal"]
    every = ask(users, probes=6)
    for row in personal:
        rows = wanted[row][0]
        assert every["item_id"][row].tolist() == [r[0] for r in rows]
    # One probe finds fewer items; never a wrong one, never too few.
    exclude = [names[:34]] * len(users)
    few = ask(users, exclude, probes=1, k=6, n=6)
    assert few["count"].tolist() == [6] * len(users)
    assert not set(few["item_id"].ravel()) & set(ids_of(case, names[:34]))
    allow = [names[3:9]] * len(users)
    only = ask(users, allow=allow, probes=1, k=6, n=6)
    for row in range(len(users)):
        assert set(only["item_id"][row]) == set(ids_of(case, names[3:9]))
    assert (every["source"] == few["source"]).all()


def test_errors(case, tmp_path):
    def save(model=case.model, spec=case.spec, catalogue=case.catalogue, **more):
        return export.save_recommender(model, spec, catalogue, tmp_path / "m", **more)

    twice = pd.concat([case.catalogue, case.catalogue.iloc[:1]])
    with pytest.raises(ValueError, match='column "item" must name each item.*once'):
        save(catalogue=twice)
    gap = case.catalogue.assign(item=[None, *case.catalogue["item"][1:]])
    gap = gap if case.spec["item"].dtype == "string" else gap.astype({"item": "Int64"})
    with pytest.raises(ValueError, match='"item" must name an item in every.*row 0'):
        save(catalogue=gap)
    with pytest.raises(ValueError, match='column "price" must be one of'):
        save(catalogue=case.catalogue[["item"]])
    with pytest.raises(ValueError, match="`catalogue` must hold an item"):
        save(catalogue=case.catalogue.iloc[:0])
    with pytest.raises(TypeError, match="`model` must be a TwoTower"):
        save(model=case.ranker)
    with pytest.raises(ValueError, match="`ranker_spec` is of a ranker"):
        save(ranker_spec=case.spec)
    with pytest.raises(ValueError, match="`cells` must be at most the 40 items"):
        save(cells=41)
    with pytest.raises(ValueError, match="`n` must be an int >= 1"):
        save(n=0)
    tower = case.model.item_tower
    weights = tower.get_weights()
    try:
        tower.set_weights([np.full_like(w, np.nan) for w in weights])
        with pytest.raises(ValueError, match="`model` must give finite item vectors"):
            save()
    finally:
        tower.set_weights(weights)
    assert not list(tmp_path.rglob("saved_model.pb"))
