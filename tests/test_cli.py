import pytest

from tfrec import __version__
from tfrec.cli import main
from tfrec.features import Categorical, FeatureSpec


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"tfrec {__version__}\n"


def test_describe(tmp_path, capsys):
    spec = FeatureSpec([Categorical("city", side="user", hash_buckets=8)])
    spec.save(tmp_path / "spec.json")
    assert main(["describe", str(tmp_path / "spec.json")]) == 0
    assert "1,360" in capsys.readouterr().out


def test_describe_says_what_is_wrong(tmp_path, capsys):
    (tmp_path / "spec.json").write_text("[1]")
    assert main(["describe", str(tmp_path / "spec.json")]) == 1
    assert main(["describe", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["serve", "--nonsense"]])
def test_unknown_arguments_are_refused(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
