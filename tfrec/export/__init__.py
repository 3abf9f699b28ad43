"""Models -> servables for TensorFlow Serving."""

from tfrec.export.catalogue import Vectors as Vectors
from tfrec.export.catalogue import vectors as vectors
from tfrec.export.fleet import fleet as fleet
from tfrec.export.recommender import save_recommender as save_recommender
from tfrec.export.save import save as save
