"""The exception carries its code."""

from tfrec.serving import ServingError


def test_it_is_a_runtime_error_with_a_code():
    error = ServingError("gone", "UNAVAILABLE")
    assert isinstance(error, RuntimeError)
    assert (str(error), error.code) == ("gone", "UNAVAILABLE")
    assert ServingError("odd").code == "UNKNOWN"
