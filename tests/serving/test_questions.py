"""What is asked, without any transport: requests out, answers in."""

import json

import numpy as np
import pytest

from tfrec.features import Categorical, FeatureSpec, Numeric
from tfrec.serving import ServingError, grpc_format, messages
from tfrec.serving.address import parse
from tfrec.serving.documents import Document
from tfrec.serving.questions import Questions

NUMBER = {"dtype": "float32", "shape": [None]}
LISTS = {"dtype": "string", "shape": [None, None], "default": [[]]}
SPEC = FeatureSpec([Numeric("a", side="user"), Categorical("item", side="item")])
CONTENT = {
    "format": 1,
    "servable": "recommender",
    "inputs": {"a": {**NUMBER, "side": "user"}},
    "parameters": {
        "exclude": LISTS,
        "n": {"dtype": "int32", "shape": [], "default": 10},
    },
    "outputs": {"score": {"dtype": "float32", "shape": [None, None]}},
    "spec": json.loads(SPEC.to_json()),
}


def questions(address="h:1", limit=2**20):
    documents = {"recommender": Document(CONTENT)}
    return Questions(parse(address), documents, limit)


def predict(asked, rows, **more):
    names = ("version", "signature_name", "outputs", "parameters")
    return asked.predict("recommender", rows, *(more.get(name) for name in names))


def inputs(request):
    from tensorflow_serving.apis import predict_pb2

    from tfrec.serving import tensors

    message = predict_pb2.PredictRequest.FromString(request.data)
    return {name: tensors.decode(proto) for name, proto in message.inputs.items()}


def test_parameters_have_their_defaults():
    sent = inputs(next(predict(questions(), {"a": [1.0, 2.0]})))
    assert sent["n"].dtype == np.int32
    assert sent["n"].tolist() == 10
    assert sent["exclude"].shape == (1, 0)
    given = {"n": 3, "exclude": [["x"], ["y"]]}
    sent = inputs(next(predict(questions(), {"a": [1.0, 2.0]}, parameters=given)))
    assert sent["n"].tolist() == 3
    assert sent["exclude"].tolist() == [[b"x"], [b"y"]]
    body = json.loads(next(predict(questions("http://h:1"), {"a": [1.0]})).data)
    assert body["inputs"] == {"a": [1.0], "exclude": [[]], "n": 10}


def test_parameters_of_each_row_are_cut_with_the_rows():
    rows = {"a": np.arange(100.0)}
    exclude = [[f"{number:0>60}"] for number in range(100)]
    question = predict(
        questions(limit=4096), rows, version=1, parameters={"exclude": exclude}
    )
    request, seen, parts = next(question), [], 0
    with pytest.raises(StopIteration) as end:
        while True:
            sent, parts = inputs(request), parts + 1
            assert len(request.data) <= 4096
            assert len(sent["exclude"]) == len(sent["a"])
            seen += [text.decode() for text in sent["exclude"][:, 0]]
            scores = {"score": sent["a"][:, None]}
            spec = messages.model_spec("recommender", 1)
            request = question.send(messages.predict_response(spec, scores))
    assert parts > 1
    assert seen == [text for (text,) in exclude]
    assert end.value.value["score"][:, 0].tolist() == rows["a"].tolist()


def test_rest_asks_for_the_outputs_of_another_signature():
    question = predict(questions("http://h:1"), {"a": [1.0]}, signature_name="rank")
    assert next(question).place == "/v1/models/recommender/metadata"
    info = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}]}}
    signature = {"inputs": {"a": info}, "outputs": {"y": info}}
    told = {
        "model_spec": {"version": "4"},
        "metadata": {"signature_def": {"signature_def": {"rank": signature}}},
    }
    request = question.send(json.dumps(told).encode())
    assert request.place == "/v1/models/recommender/versions/4:predict"
    with pytest.raises(StopIteration) as end:
        question.send(b'{"outputs": [2.5]}')
    assert end.value.value["y"].tolist() == [2.5]
    question = predict(
        questions("http://h:1"), {"a": [1]}, signature_name="rank", outputs=["z"]
    )
    next(question)
    with pytest.raises(ServingError, match="output tensor alias not found") as caught:
        question.send(json.dumps(told).encode())
    assert caught.value.code == "INVALID_ARGUMENT"


def test_an_error_reaches_who_asked():
    question = predict(questions(), {"a": [1.0]})
    next(question)
    error = ServingError("gone", "NOT_FOUND")
    with pytest.raises(ServingError) as caught:
        question.throw(error)
    assert caught.value is error


def test_embeddings_need_their_servable():
    asked = questions().embedding("user_tower", "user_embedding", {"a": [1]}, None)
    text = '`servable` must be one of "recommender"'
    with pytest.raises(ValueError, match=text):
        next(asked)


def test_the_request_is_of_grpc():
    request = next(questions().status("recommender"))
    assert request == grpc_format.status("recommender")


POPULAR = {"item_id": ["é", "b", "c"], "score": [0.5, 0.3, 0.2]}


def recommend(fallbacks=("retrieval",), popular=POPULAR, fallback=True, **parameters):
    lists = {**LISTS, "default": [[]]}
    outputs = {"item_id": {"dtype": "string", "shape": [None, None]}}
    content = {
        **CONTENT,
        "outputs": outputs,
        "fallbacks": list(fallbacks),
        "popular": popular,
        "parameters": {**CONTENT["parameters"], "allow": lists},
    }
    documents = {"recommender": Document(content)}
    asked = Questions(parse("h:1"), documents, 2**20)
    return asked.recommend({"a": [1.0, 2.0]}, parameters, None, fallback)


def signature(request):
    from tensorflow_serving.apis import predict_pb2

    message = predict_pb2.PredictRequest.FromString(request.data)
    return message.model_spec.signature_name


def test_a_late_ranker_is_left_out_and_time_is_kept_for_it():
    question = recommend()
    first = next(question)
    assert (signature(first), first.share) == ("", 0.6)
    second = question.throw(ServingError("late", "DEADLINE_EXCEEDED"))
    assert (signature(second), second.share) == ("retrieval", 0.6)
    items = {"item_id": np.array([[b"x"], [b"y"]], object)}
    spec = messages.model_spec("recommender", 1)
    with pytest.raises(StopIteration) as end:
        question.send(messages.predict_response(spec, items))
    assert end.value.value["item_id"].tolist() == [[b"x"], [b"y"]]


@pytest.mark.parametrize("code", ["UNAVAILABLE", "NOT_FOUND", "FAILED_PRECONDITION"])
def test_what_is_not_there_is_not_asked_again(code):
    question = recommend(n=2, exclude=[["b"], []])
    next(question)
    with pytest.raises(StopIteration) as end:
        question.throw(ServingError("absent", code))
    answer = end.value.value
    assert answer["item_id"].tolist() == [["é".encode(), b"c"], ["é".encode(), b"b"]]
    assert answer["source"].tolist() == [b"popular"] * 2


def test_when_all_is_late_the_popular_items_answer():
    question = recommend()
    next(question)
    question.throw(ServingError("late", "DEADLINE_EXCEEDED"))
    with pytest.raises(StopIteration) as end:
        question.throw(ServingError("late", "DEADLINE_EXCEEDED"))
    assert end.value.value["count"].tolist() == [3, 3]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("INVALID_ARGUMENT", {}),
        ("UNAUTHENTICATED", {}),
        ("UNAVAILABLE", {"popular": {}}),
        ("UNAVAILABLE", {"fallback": False}),
        ("DEADLINE_EXCEEDED", {"fallback": False}),
        ("DEADLINE_EXCEEDED", {"fallbacks": (), "popular": {}}),
    ],
    ids=range(6),
)
def test_what_has_no_fallback_is_raised(code, told):
    question = recommend(**told)
    first = next(question)
    assert first.share == (1.0 if told.keys() & {"fallback", "fallbacks"} else 0.6)
    with pytest.raises(ServingError, match="why"):
        question.throw(ServingError("why", code))


def test_a_last_way_has_all_the_time_that_is_left():
    question = recommend(popular={})
    next(question)
    assert question.throw(ServingError("late", "DEADLINE_EXCEEDED")).share == 1.0


def test_recommend_checks_its_arguments():
    with pytest.raises(ValueError, match="fallback"):
        next(recommend(fallback=1))


@pytest.mark.parametrize("wanted", [10, 1000, 100_000, 1_000_000])
def test_rows_are_cut_by_the_length_of_the_lists_that_are_asked_for(wanted):
    """As many users as an answer holds; one where not even one's list might fit."""
    limit, users = 2**20, 30_000
    given = {"a": np.zeros(users, np.float32)}
    question = predict(questions(limit=limit), given, parameters={"n": wanted})
    first = len(inputs(next(question))["a"])
    most = max(limit // (4 * wanted), 1)
    assert 0.9 * most <= first <= most
