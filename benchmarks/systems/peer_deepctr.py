"""DeepCTR 0.9 with the Keras 2 that it needs; runs in an environment of its own.

`workers` sets TF_USE_LEGACY_KERAS=1 for it.
"""

import criteo_like
import numpy as np
import tf_keras
from deepctr import models
from deepctr.feature_column import DenseFeat, SparseFeat

from systems import cores
from systems.columns import Fitted

OPTIMIZERS = {"adagrad": tf_keras.optimizers.Adagrad, "adam": tf_keras.optimizers.Adam}
MODELS = {
    "deepfm": (models.DeepFM, {}),
    "dcn": (
        models.DCN,
        {"cross_num": cores.CROSSES, "cross_parameterization": "matrix"},
    ),
    "xdeepfm": (models.xDeepFM, {"cin_layer_size": cores.FEATURE_MAPS}),
    "autoint": (
        models.AutoInt,
        {
            "att_layer_num": cores.ATTENTIONS,
            "att_head_num": cores.HEADS,
            "att_embedding_size": cores.HEAD_DIM,
        },
    ),
    "fibinet": (models.FiBiNET, {"reduction_ratio": cores.REDUCTION}),
}


class System(Fitted):
    def __init__(self, cell, arrays):
        super().__init__(cell, arrays)
        tf_keras.utils.set_random_seed(cell["seed"])
        sizes = criteo_like.sizes(cell["vocabulary"])
        columns = [
            SparseFeat(
                name,
                size + criteo_like.RESERVED,
                embedding_dim=cell["dim"],
                embeddings_initializer=tf_keras.initializers.RandomUniform(
                    seed=cell["seed"] + number
                ),
            )
            for number, (name, size) in enumerate(
                zip(criteo_like.VALUES, sizes, strict=True)
            )
        ]
        columns += [DenseFeat(name, 1) for name in criteo_like.NUMBERS]
        make, more = MODELS[cell["model"]]
        options = {"l2_reg_linear": 0, "l2_reg_embedding": 0, "seed": cell["seed"]}
        if cell["model"] == "dcn":
            options["l2_reg_cross"] = 0
        self.model = make(
            columns, columns, dnn_hidden_units=cores.HIDDEN, **options, **more
        )
        optimizer = OPTIMIZERS[cell["optimizer"]](cell["learning_rate"])
        self.model.compile(optimizer, "binary_crossentropy")

    def predict(self, start, stop):
        chance = super().predict(start, stop).astype(np.float64)
        return np.log(chance) - np.log1p(-chance)
