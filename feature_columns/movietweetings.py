"""MovieTweetings 100K: who rated which movie when, and what they rated before."""

from tfrec.datasets import movietweetings

SPEC = movietweetings.spec()
