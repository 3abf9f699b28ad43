"""Tables of the JSON that `quality.py` writes."""

def write(found, document):
    pass
