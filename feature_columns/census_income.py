"""Census-Income (KDD): two tasks on one person, high income and never married."""

from tfrec.datasets import census_income

SPEC = census_income.spec()
