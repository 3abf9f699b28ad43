"""What one replica of `tf.distribute` must know of the others' rows."""

import tensorflow as tf


def all_rows(tensor):
    """The rows of all replicas, this one's own first, in one tensor; differentiable.

    Without replicas, and outside of a step, the tensor itself. Replicas may have
    different numbers of rows. A row's gradient is the sum over all replicas.

    >>> all_rows(tf.constant([1, 2])).numpy().tolist()
    [1, 2]
    """
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return tensor
    rows = replica.all_gather(tf.shape(tensor)[:1], axis=0)
    start = tf.reduce_sum(rows[: replica.replica_id_in_sync_group])
    return tf.roll(replica.all_gather(tensor, axis=0), -start, axis=0)


def share(weight):
    """This replica's part of the weight of all rows, times the number of replicas.

    A mean over the replica's own rows, times this, averages over the replicas to
    the mean over all rows. Without replicas 1.

    >>> float(share(tf.constant([0.5, 2.0])))
    1.0
    """
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return tf.ones((), weight.dtype)
    own = tf.reduce_sum(weight)
    total = replica.all_reduce(tf.distribute.ReduceOp.SUM, own)
    return tf.math.divide_no_nan(own * replica.num_replicas_in_sync, total)
