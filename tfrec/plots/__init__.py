"""Pictures of what techniques learned; each function returns a matplotlib Figure.

They take numbers. `layer_inputs` gives what a layer of a model is given for some
rows; `gates` and `attention` of that layer then say what it makes of it.
"""

from tfrec.plots.augmented_similarity import (
    augmented_similarity as augmented_similarity,
)
from tfrec.plots.field_attention import field_attention as field_attention
from tfrec.plots.field_weights import field_weights as field_weights
from tfrec.plots.frequency_error import frequency_error as frequency_error
from tfrec.plots.frequency_simulation import (
    frequency_simulation as frequency_simulation,
)
from tfrec.plots.history_attention import history_attention as history_attention
from tfrec.plots.interest_attention import interest_attention as interest_attention
from tfrec.plots.interests import interests as interests
from tfrec.plots.layer_inputs import layer_inputs as layer_inputs
