import pytest

from tfrec.demo.run import run


@pytest.mark.slow
def test_the_whole_way(tmp_path, capsys):
    assert run(tmp_path / "out", seed=3, quick=True) == 0
    shown = capsys.readouterr().out
    for name in ("popularity", "item to item", "two towers", "DeepFM", "difference"):
        assert name in shown
    assert shown.count("Ten films for") == 2
    for name in ("training_curves", "recall", "item_map"):
        assert (tmp_path / "out" / f"{name}.png").stat().st_size > 5000
    for servable in ("user_tower", "item_tower", "ranker"):
        assert (tmp_path / "out/saved_models/movies" / servable / "1").is_dir()
    # A second run replaces the first.
    (tmp_path / "out" / "mine.txt").write_text("kept")
    (tmp_path / "out" / "saved_models" / "other").mkdir()
    from tfrec.demo.run import _clear

    _clear(tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").exists()
    assert (tmp_path / "out" / "saved_models" / "other").exists()
    assert not (tmp_path / "out" / "saved_models" / "movies").exists()
