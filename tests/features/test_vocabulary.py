import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.features import Vocabulary, vocabulary

VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: "\n" not in text and "\r" not in text
)
COUNTS = st.integers(1, 5)


def raises(text, kind=ValueError):
    return pytest.raises(kind, match=re.escape(text))


@given(counts=st.dictionaries(VALUES, COUNTS, min_size=1), size=st.integers(1, 4))
def test_write_and_read(tmp_path, counts, size):
    made = vocabulary.write("t", counts, tmp_path, max_size=size)
    wanted = sorted(counts, key=lambda value: (-counts[value], value))[:size]
    assert made.values() == wanted
    assert made.size == len(wanted) and made.rows == len(wanted) + 2
    kept = [counts[value] for value in wanted]
    left_out = sum(counts.values()) - sum(kept)
    assert made.counts().tolist() == [0, left_out, *kept]
    again = vocabulary.read("t", tmp_path / "t.txt", "string")
    assert again == made and again.file == made.file
    made.verify()


@given(
    counts=st.dictionaries(
        st.integers(-(2**63), 2**63 - 1), st.integers(1, 9), min_size=1
    )
)
def test_integers(tmp_path, counts):
    made = vocabulary.write("t", counts, tmp_path, dtype="int64")
    assert made.values() == sorted(counts, key=lambda value: (-counts[value], value))


@pytest.mark.parametrize("orders", [("a", "b", "c", "d"), ("d", "c", "b", "a")])
def test_order_does_not_depend_on_when_a_value_was_seen(tmp_path, orders):
    counts = {value: {"a": 1, "b": 3, "c": 3, "d": 2}[value] for value in orders}
    assert vocabulary.write("t", counts, tmp_path).values() == ["b", "c", "d", "a"]


def test_min_count_counts_what_it_leaves_out(tmp_path):
    made = vocabulary.write(
        "t", {"a": 5, "b": 2, "c": 1, "d": 1}, tmp_path, min_count=2
    )
    assert made.values() == ["a", "b"] and made.counts().tolist() == [0, 2, 5, 2]


def test_equal_means_equal_contents(tmp_path):
    one = vocabulary.write("t", {"a": 1, "b": 2}, tmp_path / "one")
    two = vocabulary.write("t", {"b": 7, "a": 3}, tmp_path / "two")
    assert one == two and hash(one) == hash(two) and one.file != two.file
    assert one != vocabulary.write("t", {"a": 2, "b": 1}, tmp_path / "three")
    assert one != vocabulary.write("u", {"a": 1, "b": 2}, tmp_path / "one")


@pytest.mark.parametrize(
    ("counts", "options", "text"),
    [
        ({"a": 1}, {"min_count": 2}, 'table "t" has no value with min_count=2.'),
        ({"a": 1}, {"min_count": 2}, "Received: 1 values. Lower `min_count`"),
        ({}, {}, "Received: 0 values."),
        ({"a": 1, "b\nc": 1}, {}, "has a value with a line break, which a vocabulary"),
        ({"b\rc": 1}, {}, "Received: 'b\\rc' (str). Strip it from the data"),
        ({"": 1}, {}, "has an empty value, which a vocabulary file cannot hold."),
    ],
)
def test_write_errors_leave_nothing(tmp_path, counts, options, text):
    with raises(text):
        vocabulary.write("t", counts, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "dtype", "text"),
    [
        (b"", "string", "holds no value"),
        (b"a", "string", "must end with a line break"),
        (b"a\n\nb\n", "string", "has an empty or broken line 2"),
        (b"a\r\nb\r\n", "string", "has an empty or broken line 1"),
        (b"a\nb\na\n", "string", "has 'a' twice, in lines 1 and 3"),
        (b"a\n\xff\n", "string", "is not UTF-8: "),
        (b"1\nx\n", "int64", "has 'x' in line 2, which is not an int64"),
        (b"1\n01\n", "int64", "has '01' in line 2, which is not an int64"),
        (b"1.0\n", "int64", "has '1.0' in line 1, which is not an int64"),
        (b"9223372036854775808\n", "int64", "has '9223372036854775808' in line 1"),
        ("١\n".encode(), "int64", "has '١' in line 1, which is not an int64"),
    ],
)
def test_read_errors(tmp_path, data, dtype, text):
    file = tmp_path / "t.txt"
    file.write_bytes(data)
    with raises(f'Vocabulary: the file of table "t" {text}') as error:
        vocabulary.read("t", file, dtype)
    assert str(file) in str(error.value)
    assert "UTF-8 text with one value a line, each once." in str(error.value)


def test_read_of_a_missing_file(tmp_path):
    with raises("t.txt", FileNotFoundError):
        vocabulary.read("t", tmp_path / "t.txt", "string")


def test_checksum_is_that_of_the_file(tmp_path):
    made = vocabulary.write("t", {"a": 1}, tmp_path)
    content = (tmp_path / "t.txt").read_bytes()
    assert content == b"a\n" and made.checksum == hashlib.sha256(content).hexdigest()


def test_verify(tmp_path):
    made = vocabulary.write("t", {"a": 1, "b": 1}, tmp_path)
    (tmp_path / "t.txt").write_text("b\na\n")
    with raises('the file of table "t" has changed.'):
        made.verify()
    (tmp_path / "t.txt").unlink()
    with raises("is not there. Received: "):
        made.verify()


def test_counts_that_do_not_fit(tmp_path):
    made = vocabulary.write("t", {"a": 1, "b": 1}, tmp_path)
    (tmp_path / "t.counts").write_text("1\n0\n")
    with raises('table "t" must have 3 counts. Received: 2 in '):
        made.counts()
    (tmp_path / "t.counts").unlink()
    with raises('table "t" has no counts: t.counts is not', FileNotFoundError):
        made.counts()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"table": ""}, "Vocabulary: `table` must be a non-empty string."),
        ({"dtype": "int32"}, "Vocabulary: `dtype` must be one of 'string', 'int64'."),
        ({"size": 0}, "Vocabulary: `size` must be an int >= 1."),
        ({"size": "3"}, "Received: size='3' (str)."),
        ({"checksum": None}, "Vocabulary: `checksum` must be a non-empty string."),
        ({"file": 3}, "Vocabulary: `file` must be a string. Received: file=3 (int)."),
    ],
)
def test_arguments(change, text):
    good = {"table": "t", "dtype": "string", "size": 1, "checksum": "ab"}
    with raises(text):
        Vocabulary(**{**good, **change})


def test_a_byte_order_mark_is_no_part_of_a_value(tmp_path):
    file = tmp_path / "cities.txt"
    file.write_bytes("\ufeffRome\nOslo\n".encode())
    with pytest.raises(ValueError, match="starts with a byte order mark"):
        vocabulary.read("city", file, "string")
