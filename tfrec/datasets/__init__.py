"""Public data sets as DataFrames, each with the spec that describes it.

| module | what a row is | for |
|---|---|---|
| `movietweetings` | a rating | CTR with histories, retrieval; comes with tfrec |
| `movielens` | a rating | CTR with histories, retrieval |
| `census_income` | a person | multi-task |
| `open_bandit` | an impression | positions, propensities, clicks |
| `online_retail` | an article of a basket | retrieval with item text and price |

Each has `events(source=None)`, a DataFrame with one example a row, and `spec()`, the
FeatureSpec of its columns, not adapted yet (`retrieval_spec()` is a second one, for
two towers); further functions give the published tables. Licence and citation stand
in each module's docstring.

`source` is the path of a folder or file. Without it the files are looked for in the
data set's folder below the one that the environment variable TFREC_DATA names; in an
installed Python package that carries them; in the cache, `~/.cache/tfrec` or what
TFREC_CACHE names; and are then downloaded into the cache from their publisher, where
the module offers that. A download gets its name only after its checksum, or the
structure that the publisher describes, was found right.

Where the data is in none of these places, `FileNotFoundError` lists them and the steps
to get it by hand. `ValueError` tells of a wrong checksum, a broken file or a missing
column, and names the file.
"""

from tfrec.datasets import census_income as census_income
from tfrec.datasets import movielens as movielens
from tfrec.datasets import movietweetings as movietweetings
from tfrec.datasets import online_retail as online_retail
from tfrec.datasets import open_bandit as open_bandit
