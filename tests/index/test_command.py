import json

from tfrec.cli import main
from tfrec.index.search import Index


def test_from_build_to_block(towers, tmp_path, capsys):
    towers.catalogue.to_parquet(tmp_path / "c.parquet")
    towers.catalogue.iloc[:3].to_parquet(tmp_path / "few.parquet")
    root, models = str(tmp_path / "index"), str(towers.saved_models)
    catalogue = str(tmp_path / "c.parquet")
    assert main(["index", "build", root, models, catalogue]) == 0
    assert json.loads(capsys.readouterr().out)["embedded"] == 700
    assert main(["index", "refresh", root, models, catalogue]) == 0
    assert json.loads(capsys.readouterr().out)["embedded"] == 0
    assert main(["index", "add", root, models, str(tmp_path / "few.parquet")]) == 0
    assert capsys.readouterr().out == "add: 3 items\n"
    assert main(["index", "block", root, "ü1", "ü2"]) == 0
    found, _ = Index(root).search([[1.0] * 8], 700)
    assert {"ü1", "ü2"} & set(found[0]) == set() and "ü3" in found[0]


def test_errors_end_in_one_line(tmp_path, capsys):
    assert main(["index", "block", str(tmp_path), "a"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("tfrec index block: index: `path` must be a folder")
    assert said.count("\n") == 1
