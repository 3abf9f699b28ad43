"""Optimizers whose step costs per row used; each is a `keras.optimizers.Optimizer`."""

from tfrec.optimizers.row_sparse import RowSparseOptimizer as RowSparseOptimizer
from tfrec.optimizers.row_sparse_adagrad import RowSparseAdagrad as RowSparseAdagrad
from tfrec.optimizers.row_sparse_adam import RowSparseAdam as RowSparseAdam
from tfrec.optimizers.row_sparse_ftrl import RowSparseFtrl as RowSparseFtrl
from tfrec.optimizers.row_sparse_loss_scale import (
    RowSparseLossScale as RowSparseLossScale,
)
from tfrec.optimizers.row_sparse_sgd import RowSparseSGD as RowSparseSGD
from tfrec.optimizers.row_wise_adagrad import RowWiseAdagrad as RowWiseAdagrad
