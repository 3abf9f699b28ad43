"""A model's servables against the model itself, on raw rows."""

import tempfile

import keras
import numpy as np
import tensorflow as tf

from tfrec import export
from tfrec.data import from_pandas
from tfrec.features import wire

TOLERANCE = 1e-5


def check_served(model, spec, frame):
    """Raises `AssertionError` when a servable answers otherwise than its model.

    The model is exported; each servable is loaded and given the raw columns of all
    rows in one request; `predict` is given their ids. Columns with `serve=False`
    are missing on both sides. Embeddings, and logits, agree within 1e-5.

    Args:
        model: a `TwoTower`, or a `keras.Model` that ends in a logit.
        spec: FeatureSpec with its vocabularies.
        frame: rows, as `tfrec.data.from_pandas` takes them.

    Raises: `AssertionError` that names model and servable.
    """
    x = next(iter(from_pandas(frame, spec, batch_size=len(frame))))
    x = x[0] if isinstance(x, tuple) else x
    hidden = {column.name for column in spec if not column.serve}
    x = {k: np.zeros_like(v) if k in hidden else v.numpy() for k, v in x.items()}
    with tempfile.TemporaryDirectory() as folder:
        for servable, place in export.save(model, spec, folder).items():
            part = getattr(model, servable, model)
            wanted = part.predict(x, batch_size=len(frame), verbose=0)
            loaded = tf.saved_model.load(str(place))
            serve = loaded.signatures["serving_default"]
            asked = set(serve.structured_input_signature[1])
            names = [name for name in spec.names if name in asked]
            rows = wire(spec, frame, [*names, *sorted(asked - set(names))])
            found = serve(**{key: tf.constant(rows[key]) for key in asked})
            found = [found[key] for key in OUTPUTS[servable] if key in found]
            for one, other in zip(found, keras.tree.flatten(wanted), strict=True):
                one, other = np.asarray(one, float), np.asarray(other, float)
                gap = np.max(np.abs(one.reshape(other.shape) - other), initial=0.0)
                if not gap <= TOLERANCE:
                    raise AssertionError(
                        f"check_served: {model.name} must answer as {servable} what "
                        f"it predicts. Received: a difference of {gap}."
                    )


OUTPUTS = {
    "user_tower": ("user_embedding", "num_interests"),
    "item_tower": ("item_embedding",),
    "ranker": ("logit",),
}
