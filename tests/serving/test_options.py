"""Types and ranges of what a server can be told."""

import pytest

from tfrec.serving.options import Options


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"port": -1}, "`port` must be an int >= 0"),
        ({"port": 70_000}, "`port` must be an int <= 65535"),
        ({"enable_batching": 1}, "`enable_batching` must be True or False"),
        ({"model_base_path": 1}, "`model_base_path` must be a string"),
        ({"model_name": ""}, "`model_name` must be a non-empty string"),
        ({"processes": 0}, "`processes` must be an int >= 1"),
        ({"file_system_poll_wait_seconds": -2}, "must be an int >= -1"),
        ({"allow_reload_config_request": "no"}, "must be one of 'always', 'never'"),
        ({"batching_parameters_file": "f"}, "needs `enable_batching`"),
    ],
)
def test_bad_values(told, text):
    with pytest.raises(ValueError, match=text):
        Options(**told)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("::", False)],
)
def test_who_can_reach_it(host, local):
    assert Options(host=host).local is local
