"""MovieLens ml-latest-small: CTR with histories. For non-commercial use only."""

from tfrec.datasets import movielens

SPEC = movielens.spec()
