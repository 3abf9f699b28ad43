"""One module a data set: `SPEC = FeatureSpec(...)`."""
