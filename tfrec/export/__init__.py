"""Models -> servables for TensorFlow Serving."""

from tfrec.export.save import save as save
