"""Optimizers whose step costs per row used; each is a `keras.optimizers.Optimizer`."""

from tfrec.optimizers.row_sparse_adagrad import RowSparseAdagrad as RowSparseAdagrad
