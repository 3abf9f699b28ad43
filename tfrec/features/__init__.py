"""What a row holds: columns, specs, vocabularies. Plain Python and pyarrow."""

from tfrec.features.columns import Bucketized as Bucketized
from tfrec.features.columns import Categorical as Categorical
from tfrec.features.columns import Crossed as Crossed
from tfrec.features.columns import MultiCategorical as MultiCategorical
from tfrec.features.columns import Numeric as Numeric
from tfrec.features.columns import NumericSequence as NumericSequence
from tfrec.features.columns import Sequence as Sequence
from tfrec.features.rows import wire as wire
from tfrec.features.spec import FeatureSpec as FeatureSpec
from tfrec.features.vocabulary import Vocabulary as Vocabulary
