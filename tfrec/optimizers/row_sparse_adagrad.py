"""Adagrad (Duchi et al., JMLR 2011, fig. 1) that visits a batch's rows only."""

import keras
import tensorflow as tf

from tfrec import _checks


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseAdagrad(keras.optimizers.Optimizer):
    """Adagrad whose step on a table costs per row used, not per row stored.

    For a row r of a table with summed gradient g_r (a row that is looked up
    several times in a batch has one gradient, the sum):
    `a_r <- a_r + g_r^2`, `w_r <- w_r - lr g_r / sqrt(a_r + epsilon)`. Rows that
    the batch does not look up are neither read nor written. Adagrad leaves rows
    without gradient alone, so this equals Adagrad on the dense gradient. Dense
    variables are updated by the same rule.

    Differs: Keras' own Adagrad adds up the squares of the parts where a row
    occurs twice in a batch, and reads the whole table in every step. Under
    mixed_float16 Keras scales the loss and looks for infinities in gradients as
    long as the table: take mixed_bfloat16, or `compile(auto_scale_loss=False)`.

    Args:
        learning_rate: number, schedule or callable.
        initial_accumulator_value: number >= 0. Start of a.
        epsilon: number > 0.
        name: str.
        kwargs: other arguments of `keras.optimizers.Optimizer`. Those that read
            whole tables or change a gradient by its norm (`weight_decay`,
            `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema`,
            `gradient_accumulation_steps`, `loss_scale_factor`) are refused.

    Raises: `ValueError` on a bad or refused argument.

    >>> RowSparseAdagrad(learning_rate=0.5).get_config()["epsilon"]
    1e-07
    """

    def __init__(
        self,
        learning_rate=0.05,
        initial_accumulator_value=0.1,
        epsilon=1e-7,
        name="row_sparse_adagrad",
        **kwargs,
    ):
        _checks.number(self, 0, initial_accumulator_value=initial_accumulator_value)
        _checks.number(self, above=0, epsilon=epsilon)
        for argument in (
            "weight_decay",
            "clipnorm",
            "clipvalue",
            "global_clipnorm",
            "use_ema",
            "gradient_accumulation_steps",
            "loss_scale_factor",
        ):
            if kwargs.get(argument):
                raise _checks.argument(
                    self,
                    argument,
                    "would read whole tables and is not supported",
                    kwargs[argument],
                    "Leave it out, or train with a Keras optimizer.",
                )
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.initial_accumulator_value = float(initial_accumulator_value)
        self.epsilon = float(epsilon)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.accumulators = self.add_optimizer_variables(
            variables,
            "accumulator",
            initializer=keras.initializers.Constant(self.initial_accumulator_value),
        )

    def update_step(self, gradient, variable, learning_rate):
        slot = self.accumulators[self._get_variable_index(variable)].value
        rate = tf.cast(learning_rate, variable.dtype)
        if not isinstance(gradient, tf.IndexedSlices):
            gradient = tf.cast(gradient, variable.dtype)
            slot.assign_add(tf.square(gradient))
            variable.assign_sub(rate * gradient / tf.sqrt(slot + self.epsilon))
            return
        rows, place = tf.unique(gradient.indices)
        summed = tf.math.unsorted_segment_sum(
            tf.cast(gradient.values, variable.dtype), place, tf.size(rows)
        )
        squares = tf.gather(slot, rows) + tf.square(summed)
        step = rate * summed / tf.sqrt(squares + self.epsilon)
        # Writing whole new rows is several times cheaper than adding to them.
        moved = tf.gather(variable, rows) - step
        slot.scatter_update(tf.IndexedSlices(squares, rows))
        variable.scatter_update(tf.IndexedSlices(moved, rows))

    def get_config(self):
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
