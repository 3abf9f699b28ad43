"""Random draws that go on where a saved model stopped.

Keras does not write the state of a `keras.random.SeedGenerator` to a file: a model
that is loaded and fitted on would draw its first numbers again. A layer that draws
calls these two from its `save_own_variables` and `load_own_variables`.
"""

KEY = "draws"


def save_draws(generator, store):
    """Writes the state of a SeedGenerator (or None: nothing) to a layer's store."""
    if generator is not None:
        store[KEY] = generator.state.numpy()


def load_draws(generator, store):
    """Reads what `save_draws` wrote, where it is there; returns the other entries."""
    entries = {key: store[key] for key in store.keys()}
    state = entries.pop(KEY, None)
    if generator is not None and state is not None:
        generator.state.assign(state)
    return entries
