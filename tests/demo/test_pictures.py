import matplotlib.image
import numpy as np
import pandas as pd

from tfrec.demo import pictures


def test_pictures_are_drawn(tmp_path):
    random = np.random.default_rng(0)
    genres = [*pictures.GENRES, "Western", "Comedy|Crime", ""]
    films = pd.DataFrame({"movie_id": [str(n) for n in range(len(genres))]})
    films["title"], films["genres"] = films["movie_id"], genres
    ratings = pd.Series(50, index=films["movie_id"])
    vectors = random.normal(size=(len(films), 8))
    bars = {name: {"Recall@10": 0.1, "NDCG@10": 0.05} for name in ("a", "b")}
    curves = {"a": {"loss": [2.0, 1.0]}, "b": {"loss": [2.0], "val_loss": [3.0]}}
    drawn = [
        pictures.training_curves(curves, tmp_path / "curves.png"),
        pictures.recall_bars(bars, tmp_path / "bars.png"),
        pictures.item_map(vectors, films, ratings, tmp_path / "map.png"),
    ]
    for file in drawn:
        image = matplotlib.image.imread(file)
        assert image.shape[0] > 200 and image.std() > 0.01
