"""Nothing of the machine reaches these tests but data that lies beside the checkout."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared_data():
    """The folder of the real data sets; tests that need it are skipped without."""
    folder = ROOT / ".." / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder shared/data is not beside the checkout")
    return folder.resolve()


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path_factory):
    """No TFREC_DATA, an empty cache, no network; `file:` addresses answer."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.delenv("TFREC_DATA", raising=False)
    monkeypatch.setenv("TFREC_CACHE", str(cache))
    opened = urllib.request.urlopen

    def urlopen(url, **options):
        if not url.startswith("file:"):
            raise urllib.error.URLError("tests have no network")
        return opened(url, **options)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return cache
