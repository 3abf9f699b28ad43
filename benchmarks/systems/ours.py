"""tfrec's models, fitted by Keras's own `fit` with its row-sparse optimizers."""

import criteo_like
import keras
import numpy as np
from keras import layers, ops

from systems import cores
from systems.columns import Fitted
from tfrec import Embeddings, describe, models, optimizers
from tfrec.data.pipeline import Pipeline
from tfrec.embeddings import inputs_of
from tfrec.features import Categorical, FeatureSpec, Numeric
from tfrec.layers import (
    CIN,
    FM,
    MLP,
    BilinearInteraction,
    CrossNetwork,
    LinearTerm,
    SelfAttentionInteraction,
    SENet,
)

NAMES = {"adagrad": "RowSparseAdagrad", "adam": "RowSparseAdam"}
# What makes a model of tfrec as large as the others, beside its deep part.
SIZES = {
    "deepfm": {},
    "dcn": {"num_layers": cores.CROSSES},
    "xdeepfm": {
        "cin_units": cores.FEATURE_MAPS,
        "cin_activation": "relu",
        "split_half": True,
    },
    "autoint": {
        "num_layers": cores.ATTENTIONS,
        "num_heads": cores.HEADS,
        "units": cores.HEAD_DIM,
    },
    "fibinet": {"reduction": cores.REDUCTION},
}


def spec_of(cell):
    """Columns whose tables have the vocabulary's rows; the ids are given."""
    columns = [Numeric(name, side="context") for name in criteo_like.NUMBERS]
    columns += [
        Categorical(name, side="context", embedding_dim=cell["dim"], hash_buckets=size)
        for name, size in zip(
            criteo_like.VALUES, criteo_like.sizes(cell["vocabulary"]), strict=True
        )
    ]
    return FeatureSpec(columns, labels=[criteo_like.LABEL])


def beside(spec, cell):
    """The model as DeepCTR defines it, made of tfrec's layers.

    Numbers stand beside the vectors in the deep part, and are no fields.
    """
    dim, seed = cell["dim"], cell["seed"]
    inputs = inputs_of(spec, "context")
    tables = Embeddings(spec, linear=True, unknown_rate=0.0, seed=seed)
    found = tables(inputs, stacked=True)
    (block,) = found.blocks.values()
    x = ops.stack(list(found.numbers.values()), axis=1)
    e, first = ops.split(block, [dim], axis=2)
    linear = LinearTerm()([layers.Flatten()(first), x])
    flat = layers.Concatenate()([layers.Flatten()(e), x])
    more = PARTS[cell["model"]](e, flat, seed)
    return keras.Model(inputs, layers.Add(dtype="float32")([linear, *more]))


def _deep(x, seed):
    return layers.Dense(1, use_bias=False)(MLP(cores.HIDDEN, seed=seed)(x))


def _deepfm(e, flat, seed):
    return [FM()(e), _deep(flat, seed)]


def _dcn(e, flat, seed):
    crossed = CrossNetwork(cores.CROSSES, "full", seed=seed)(flat)
    both = layers.Concatenate()([crossed, MLP(cores.HIDDEN, seed=seed)(flat)])
    return [layers.Dense(1, use_bias=False)(both)]


def _xdeepfm(e, flat, seed):
    cin = CIN(cores.FEATURE_MAPS, activation="relu", split_half=True, seed=seed)
    return [layers.Dense(1, use_bias=False)(cin(e)), _deep(flat, seed)]


def _autoint(e, flat, seed):
    h = e
    for _ in range(cores.ATTENTIONS):
        h = SelfAttentionInteraction(cores.HEADS, cores.HEAD_DIM, seed=seed)(h)
    deep = MLP(cores.HIDDEN, seed=seed)(flat)
    both = layers.Concatenate()([layers.Flatten()(h), deep])
    return [layers.Dense(1, use_bias=False)(both)]


def _fibinet(e, flat, seed):
    gated = BilinearInteraction(seed=seed)(SENet(cores.REDUCTION, seed=seed)(e))
    both = layers.Concatenate(axis=1)([gated, BilinearInteraction(seed=seed)(e)])
    x = flat[:, e.shape[1] * e.shape[2] :]
    return [_deep(layers.Concatenate()([layers.Flatten()(both), x]), seed)]


PARTS = {
    "deepfm": _deepfm,
    "dcn": _dcn,
    "xdeepfm": _xdeepfm,
    "autoint": _autoint,
    "fibinet": _fibinet,
}


def model_of(spec, cell):
    if cell["numbers"] == "beside":
        return beside(spec, cell)
    options = {"hidden_units": cores.HIDDEN, "unknown_rate": 0.0, "seed": cell["seed"]}
    return getattr(models, cell["model"])(spec, **options, **SIZES[cell["model"]])


class Arrays(Fitted):
    """`fit` on a dict of columns in memory, as for the peers."""

    steps_per_execution = 1

    def __init__(self, cell, arrays):
        super().__init__(cell, arrays)
        keras.utils.set_random_seed(cell["seed"])
        self.spec = spec_of(cell)
        self.model = self.made(model_of(self.spec, cell))
        optimizer = getattr(optimizers, NAMES[cell["optimizer"]])
        self.model.compile(
            optimizer(learning_rate=cell["learning_rate"]),
            keras.losses.BinaryCrossentropy(from_logits=True),
            steps_per_execution=self.steps_per_execution,
        )

    def made(self, model):
        return model

    def described_bytes(self):
        """The total of `tfrec.describe`."""
        slots = {"adagrad": 1, "adam": 2}[self.cell["optimizer"]]
        total = describe(self.spec, slots=slots).splitlines()[-1].split()[-1]
        return int(total.replace(",", ""))


class System(Arrays):
    """`fit` on what `tfrec.data.from_pandas` gives once it has made the ids."""

    def __init__(self, cell, arrays):
        super().__init__(cell, arrays)
        self.ids = np.ascontiguousarray(arrays["ids"].T)
        self.floats = np.column_stack([*arrays["numbers"], arrays["click"]])
        self.start = 0
        pipeline = Pipeline(
            "training.py",
            self.spec,
            columns=None,
            batch_size=cell["batch"],
            shuffle=False,
            seed=0,
            drop_remainder=True,
            repeat=None,
            shard=None,
            missing_labels=False,
        )
        self.dataset = pipeline.dataset(len(self.ids), self._epoch)

    def _epoch(self, _):
        """All full batches, from the one that is wanted first."""
        batch = self.cell["batch"]
        stop = len(self.ids) // batch * batch
        for place in range(self.start, self.start + stop, batch):
            rows = slice(place % stop, place % stop + batch)
            yield self.ids[rows], self.floats[rows]

    def run(self, start, stop):
        self.start = start
        steps = (stop - start) // self.cell["batch"]
        history = self.model.fit(self.dataset, steps_per_epoch=steps, verbose=0)
        return history.history["loss"][-1]


class Compiled(System):
    """The same, with the dense half compiled by XLA and ten steps an execution."""

    steps_per_execution = 10

    def made(self, model):
        return models.compile_dense(model)
