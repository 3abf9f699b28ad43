"""Text files without protos of their own."""

import pytest

from tfrec.serving import ServingError, text_configs


def test_batching_parameters(tmp_path):
    path = tmp_path / "batching"
    path.write_text(
        "# ours\nmax_batch_size { value: 128 }, batch_timeout_micros: { value: 5 }\n"
        "thread_pool_name { value: 'x' } allowed_batch_sizes: 1\n"
        "allowed_batch_sizes: 128 pad_variable_length_inputs: true"
    )
    read = text_configs.read("BatchingParameters", path, "batching_parameters_file")
    assert read.max_batch_size.value == 128
    assert read.batch_timeout_micros.value == 5
    assert read.thread_pool_name.value == "x"
    assert list(read.allowed_batch_sizes) == [1, 128]
    assert read.pad_variable_length_inputs
    assert not read.HasField("num_batch_threads")


def test_the_other_two(tmp_path):
    path = tmp_path / "file"
    path.write_text('prometheus_config { enable: true path: "/metrics" }')
    read = text_configs.read("MonitoringConfig", path, "monitoring_config_file")
    assert (read.prometheus_config.enable, read.prometheus_config.path) == (
        True,
        "/metrics",
    )
    path.write_text('server_key: "a\\nb" client_verify: true')
    read = text_configs.read("SSLConfig", path, "ssl_config_file")
    assert (read.server_key, read.client_verify) == ("a\nb", True)


@pytest.mark.parametrize("text", ["odd: 1", "max_batch_size: 3", "max_batch_size {"])
def test_what_does_not_parse(tmp_path, text):
    path = tmp_path / "file"
    path.write_text(text)
    words = "`the_flag` must be a text-format tensorflow.serving.BatchingParameters"
    with pytest.raises(ServingError, match=words) as caught:
        text_configs.read("BatchingParameters", path, "the_flag")
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ServingError, match="No such file"):
        text_configs.read("SSLConfig", tmp_path / "absent", "ssl_config_file")
