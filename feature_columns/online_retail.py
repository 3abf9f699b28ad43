"""Online Retail: the next article of a basket, with its text and price."""

from tfrec.datasets import online_retail

SPEC = online_retail.spec()
