"""What the row-sparse optimizers share: one rule, for a batch's rows or all weights.

Keras' optimizers turn a gradient of rows into one of the whole table, and square its
parts one by one where a row occurs twice in a batch (keras-team/keras#19992). Here
the parts of a row are summed first; then its slots and weights are gathered, moved
and written back.
"""

import contextlib

import keras
import tensorflow as tf

from tfrec import _checks, _memory


class RowSparseOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer whose step on a table costs per row used, not per row stored.

    A subclass names its slots and gives the rule, `step`, which knows nothing of
    rows: gradient, weights and slots of one shape in, new weights and slots out. A
    gradient of rows (`tf.IndexedSlices`) moves the rows of the batch; the others
    are neither read nor written.

    Clipping, weight decay and accumulation are Keras' own rules on the summed
    gradient; weight decay reaches the rows of the batch only. Under `tf.distribute`
    each replica clips its gradient before all are summed, as in Keras.

    Args:
        learning_rate: number, schedule or callable.
        weight_decay: number >= 0 or None. `w <- w - lr weight_decay w` before the
            step (Loshchilov and Hutter, ICLR 2019, alg. 2).
        clipnorm: number > 0 or None. Largest norm of one variable's gradient.
        clipvalue: number > 0 or None. Largest absolute value in a gradient.
        global_clipnorm: number > 0 or None. Largest norm of all gradients together.
        loss_scale_factor: number > 0 or None. The loss is multiplied by it and the
            gradient divided; see `RowSparseLossScale` for one that adapts.
        gradient_accumulation_steps: int >= 2 or None. The mean gradient of that
            many steps makes one update; rows are kept as a list of rows.
        name: str or None.
        kwargs: other arguments of `keras.optimizers.Optimizer`. `use_ema`, which
            averages whole tables, is refused.

    Raises: `ValueError` on a bad argument, on a variable with a constraint (it would
    rewrite the table), and on accumulation over several replicas.
    """

    slot_names = ()

    def __init__(
        self,
        learning_rate,
        *,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        if kwargs.get("use_ema"):
            raise _checks.argument(
                self,
                "use_ema",
                "would read whole tables and is not supported",
                kwargs["use_ema"],
                "Leave it out, or train with a Keras optimizer.",
            )
        clipping = {
            "clipnorm": clipnorm,
            "clipvalue": clipvalue,
            "global_clipnorm": global_clipnorm,
        }
        given = {key: limit for key, limit in clipping.items() if limit is not None}
        _checks.number(self, above=0, **given)
        if len(given) > 1:
            rule = "must be given alone, without other clipping"
            raise _checks.argument(self, list(given)[-1], rule, given)
        if weight_decay is not None:
            _checks.number(self, 0, weight_decay=weight_decay)
        if loss_scale_factor is not None:
            _checks.number(self, above=0, loss_scale_factor=loss_scale_factor)
        if gradient_accumulation_steps is not None:
            steps = {"gradient_accumulation_steps": gradient_accumulation_steps}
            _checks.integer(self, 2, **steps)
        # Keras reads whole tables for each of these, so that it is given none.
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.clipping = clipping
        self.decay = weight_decay
        self.scale = loss_scale_factor
        self.accumulated_steps = gradient_accumulation_steps
        self.loss_is_scaled = False

    @property
    def iterations(self):
        """How many updates were made; under accumulation not one in each step."""
        steps = super().iterations
        return steps // self.accumulated_steps if self.accumulated_steps else steps

    def step(self, gradient, weight, slots, learning_rate):
        """The rule: gradient, weights and slots in, `(weights, slots)` out."""
        raise NotImplementedError

    def start_of(self, slot_name):
        """The number that a slot starts from."""
        return 0.0

    def slot_shape(self, variable, slot_name):
        """The shape of a variable's slot."""
        return variable.shape

    def build(self, variables):
        if self.built:
            return
        for variable in variables:
            if getattr(variable, "constraint", None) is not None:
                rule = f"must have no constraint: it would rewrite {variable.path!r}"
                raise _checks.argument(self, "variables", rule, variable.constraint)
        _memory.keep_freed()
        alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
        # Outside of the step that is being traced, slots have memory at once.
        with tf.init_scope() if alone else contextlib.nullcontext():
            super().build(variables)
            self.slots = {
                name: [self._slot(variable, name, alone) for variable in variables]
                for name in self.slot_names
            }
            if self.accumulated_steps:
                self._build_sums(variables)
            self._use_huge_pages()

    def _use_huge_pages(self):
        slots = [slot for each in self.slots.values() for slot in each]
        known = [*self._trainable_variables, *slots]
        _memory.use_huge_pages(variable.value for variable in known)

    def _slot(self, variable, name, alone):
        """A slot, on its variable's device: outside of the step no scope says it."""
        shape = tuple(self.slot_shape(variable, name))
        start = self.start_of(name)

        # Keras' Constant multiplies by ones: the table twice.
        def initializer(_, dtype):
            return tf.fill(shape, tf.constant(start, dtype))

        place = tf.device(variable.value.device) if alone else contextlib.nullcontext()
        with place:
            if shape == tuple(variable.shape):
                return self.add_variable_from_reference(
                    variable, name=name, initializer=initializer
                )
            return self.add_variable(
                shape,
                initializer=initializer,
                dtype=variable.dtype,
                name=f"{variable.path.replace('/', '_')}_{name}",
            )

    def apply(self, grads, trainable_variables=None):
        grads = list(grads)
        if self.scale is not None:
            if not self.loss_is_scaled:
                rule = "needs a loss that went through `scale_loss`"
                way_out = "Pass auto_scale_loss=False to compile()."
                value = self.scale
                raise _checks.argument(self, "loss_scale_factor", rule, value, way_out)
            grads = [_each(gradient, lambda g: g / self.scale) for gradient in grads]
        if not self.accumulated_steps:
            super().apply(self._clipped(grads), trainable_variables)
            return
        if not self.built:
            self.build(trainable_variables)
        known = self.summed_of if trainable_variables is None else trainable_variables
        self._apply_sums(grads, list(known))

    def scale_loss(self, loss):
        self.loss_is_scaled = True
        return loss if self.scale is None else loss * self.scale

    def _clipped(self, grads):
        limits = [(k, limit) for k, limit in self.clipping.items() if limit]
        if not limits:
            return grads
        ((kind, limit),) = limits
        grads = [
            _summed(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
            for gradient in grads
        ]
        if kind == "clipvalue":
            return [
                _each(gradient, lambda g: tf.clip_by_value(g, -limit, limit))
                for gradient in grads
            ]
        if kind == "clipnorm":
            return [
                _each(gradient, lambda g: tf.clip_by_norm(g, limit))
                for gradient in grads
            ]
        return tf.clip_by_global_norm(grads, limit)[0]

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        slots = [self.slots[name][index].value for name in self.slot_names]
        rate = tf.cast(learning_rate, variable.dtype)
        decay = self.decay if self.decay and self._use_weight_decay(variable) else 0
        if not isinstance(gradient, tf.IndexedSlices):
            gradient = tf.cast(gradient, variable.dtype)
            weight = _decayed(variable.value(), decay, rate)
            weight, moved = self.step(gradient, weight, slots, rate)
            variable.assign(weight)
            for slot, value in zip(slots, moved, strict=True):
                slot.assign(value)
            return
        gradient = _summed(gradient)
        rows = gradient.indices
        weight = _decayed(tf.gather(variable, rows), decay, rate)
        weight, moved = self.step(
            tf.cast(gradient.values, variable.dtype),
            weight,
            [tf.gather(slot, rows) for slot in slots],
            rate,
        )
        # Writing whole new rows is several times cheaper than adding to them.
        for slot, value in zip(slots, moved, strict=True):
            slot.scatter_update(tf.IndexedSlices(value, rows))
        variable.scatter_update(tf.IndexedSlices(weight, rows))

    def _build_sums(self, variables):
        """Where gradients wait for the update: matrices, and lists of rows."""
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            rule = "is not supported on several replicas"
            steps = self.accumulated_steps
            way_out = "Train with a larger batch."
            name = "gradient_accumulation_steps"
            raise _checks.argument(self, name, rule, steps, way_out)
        self.summed_of = list(variables)
        self.sums, self.waiting = {}, {}
        for index, variable in enumerate(variables):
            if not getattr(variable, "row_sparse", False):
                self.sums[str(index)] = self.add_variable_from_reference(
                    variable, name="gradient_sum"
                )
                continue
            width = variable.shape[1:]
            self.waiting[str(index)] = (
                tf.Variable(tf.zeros([0], tf.int64), shape=[None], trainable=False),
                tf.Variable(
                    tf.zeros([0, *width], variable.dtype),
                    shape=[None, *width],
                    trainable=False,
                ),
            )

    def _apply_sums(self, grads, variables):
        """Adds to what waits, or makes the update of it and of `grads`."""
        pairs = [
            (gradient, str(self._get_variable_index(variable)), variable)
            for gradient, variable in zip(grads, variables, strict=True)
            if gradient is not None
        ]
        steps, seen = self.accumulated_steps, super().iterations
        summed = []
        for gradient, index, _ in pairs:
            if index in self.sums:
                summed.append(self.sums[index] + tf.convert_to_tensor(gradient))
                continue
            rows = _as_rows(gradient)
            ids, values = self.waiting[index]
            summed.append(
                tf.IndexedSlices(
                    tf.concat([values, tf.cast(rows.values, values.dtype)], axis=0),
                    tf.concat([ids, tf.cast(rows.indices, tf.int64)], axis=0),
                    rows.dense_shape,
                )
            )

        def update():
            means = [_each(gradient, lambda g: g / steps) for gradient in summed]
            for _, index, _ in pairs:
                if index in self.sums:
                    self.sums[index].assign(tf.zeros_like(self.sums[index]))
                else:
                    for held in self.waiting[index]:
                        held.assign(tf.zeros_like(held[:0]))
            kept = [variable for _, _, variable in pairs]
            super(RowSparseOptimizer, self).apply(self._clipped(means), kept)

        def wait():
            for gradient, (_, index, _) in zip(summed, pairs, strict=True):
                if index in self.sums:
                    self.sums[index].assign(gradient)
                else:
                    ids, values = self.waiting[index]
                    ids.assign(gradient.indices)
                    values.assign(gradient.values)
            seen.assign_add(1)

        tf.cond(tf.equal((seen + 1) % steps, 0), update, wait)

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self.built and self.accumulated_steps:
            for index, held in self.waiting.items():
                for kind, variable in zip(("ids", "rows"), held, strict=True):
                    store[f"waiting_{index}_{kind}"] = variable.numpy()

    def load_own_variables(self, store):
        entries = {key: store[key] for key in store.keys()}
        for key in [key for key in entries if key.startswith("waiting_")]:
            value = entries.pop(key)
            if self.built and self.accumulated_steps:
                _, index, kind = key.split("_")
                self.waiting[index][kind == "rows"].assign(value[()])
        super().load_own_variables(entries)
        if self.built:  # what was loaded stands in new memory
            self._use_huge_pages()

    def get_config(self):
        return {
            **super().get_config(),
            **self.clipping,
            "weight_decay": self.decay,
            "loss_scale_factor": self.scale,
            "gradient_accumulation_steps": self.accumulated_steps,
        }


def _decayed(weight, decay, rate):
    """In the order of Keras' products, so that no bit differs."""
    return weight - weight * tf.cast(decay, weight.dtype) * rate if decay else weight


def _each(gradient, function):
    """`function` of a gradient's numbers, whether they are rows or all of it."""
    if not isinstance(gradient, tf.IndexedSlices):
        return None if gradient is None else function(gradient)
    values = function(gradient.values)
    return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)


def _as_rows(gradient):
    if isinstance(gradient, tf.IndexedSlices):
        return gradient
    return tf.IndexedSlices(gradient, tf.range(tf.shape(gradient)[0]))


def _summed(gradient):
    """Each row once, with the sum of its parts.

    A product with a sparse 0-1 matrix: a quarter of what `unsorted_segment_sum`
    takes on a CPU.
    """
    if getattr(gradient, "is_summed", False):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = gradient.values
    parts = tf.shape(places, out_type=tf.int64)[0]
    of_row = tf.SparseTensor(
        tf.stack([tf.cast(places, tf.int64), tf.range(parts)], axis=1),
        tf.ones(parts[None], values.dtype),
        tf.stack([tf.shape(rows, out_type=tf.int64)[0], parts]),
    )
    flat = tf.reshape(values, [parts, -1])
    summed = tf.sparse.sparse_dense_matmul(of_row, flat)
    summed = tf.reshape(summed, tf.concat([[-1], tf.shape(values)[1:]], axis=0))
    summed = tf.ensure_shape(summed, [None, *values.shape[1:]])
    return tf.IndexedSlices(summed, rows, gradient.dense_shape)
