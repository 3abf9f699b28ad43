"""Open Bandit sample: logged impressions with position and propensity."""

from tfrec.datasets import open_bandit

SPEC = open_bandit.spec()
