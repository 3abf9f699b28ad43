import keras
import pytest
import tensorflow as tf

from tfrec import export
from tfrec.export import ops
from tfrec.features import Categorical, FeatureSpec


def nodes(function, *specs):
    graph = tf.function(function).get_concrete_function(*specs).graph
    return graph.as_graph_def().node


def test_ordinary_graphs_pass():
    spec = tf.TensorSpec([None, 3])
    found = nodes(lambda x: tf.nn.softmax(tf.matmul(x, x, transpose_b=True)), spec)
    ops.check_nodes("export.save", "ranker", found, set())


def test_python_is_refused_by_name():
    found = nodes(lambda x: tf.py_function(lambda y: y, [x], tf.float32), tf.zeros(2))
    with pytest.raises(ValueError, match=r"`ranker` must hold only ops.*EagerPyFunc"):
        ops.check_nodes("export.save", "ranker", found, set())


def test_attributes_of_a_newer_release_are_refused():
    (node,) = (n for n in nodes(tf.sigmoid, tf.zeros(2)) if n.op == "Sigmoid")
    node.attr["_note"].b = True
    ops.check_nodes("export.save", "ranker", [node], set())
    node.attr["precision"].b = True
    with pytest.raises(ValueError, match=r"only attributes.*Sigmoid\.precision"):
        ops.check_nodes("export.save", "ranker", [node], set())


def test_functions_of_the_graph_are_no_ops():
    (node,) = (n for n in nodes(tf.sigmoid, tf.zeros(2)) if n.op == "Sigmoid")
    node.op = "my_function"
    ops.check_nodes("export.save", "ranker", [node], {"my_function"})
    with pytest.raises(ValueError, match="my_function"):
        ops.check_nodes("export.save", "ranker", [node], set())


class Stubborn(keras.layers.Layer):
    def __init__(self, how, **kwargs):
        super().__init__(**kwargs)
        self.how = how

    def call(self, x):
        if self.how == "python":
            out = tf.numpy_function(lambda y: y, [x], tf.float32)
            return tf.ensure_shape(out, x.shape)
        return tf.function(tf.identity, jit_compile=True)(x)

    def compute_output_shape(self, shape):
        return shape


@pytest.mark.parametrize(
    ("how", "text"), [("python", "PyFunc"), ("xla", "must not be compiled by XLA")]
)
def test_export_publishes_nothing(how, text, tmp_path):
    spec = FeatureSpec([Categorical("city", side="user", hash_buckets=4)])
    city = keras.Input((), dtype="int32", name="city")
    x = keras.ops.cast(keras.ops.expand_dims(city, 1), "float32")
    model = keras.Model([city], Stubborn(how)(x))
    with pytest.raises(ValueError, match=f"export.save: `ranker` .*{text}"):
        export.save(model, spec, tmp_path)
    assert not list(tmp_path.rglob("saved_model.pb"))
