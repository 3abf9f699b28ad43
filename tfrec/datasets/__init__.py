"""Public data sets as DataFrames, each with the spec that describes it."""

from tfrec.datasets import movietweetings as movietweetings
