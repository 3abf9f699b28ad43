"""Counters and histograms with labels."""

import threading

from tfrec.serving import series
from tfrec.serving.series import Counter, Histogram


def lines(metric):
    return [line for line in metric.text().splitlines() if line[0] != "#"]


def test_a_counter_adds_by_labels():
    made = Counter("/a/b", "Help.", ["x", "y"])
    made.add("1", "2")
    made.add("1", "2", by=4)
    made.add("1", "3")
    assert lines(made) == [':a:b{x="1",y="2"} 5', ':a:b{x="1",y="3"} 1']
    assert made.text().startswith("# HELP :a:b Help.\n# TYPE :a:b counter\n")


def test_a_histogram_cumulates():
    made = Histogram("h", "Help.", ["x"], [1, 2.5, 40])
    for value in (0.5, 1, 2, 2.5, 41):
        made.observe("m", value=value)
    assert lines(made) == [
        'h_bucket{x="m",le="1"} 2',
        'h_bucket{x="m",le="2.5"} 4',
        'h_bucket{x="m",le="40"} 4',
        'h_bucket{x="m",le="+Inf"} 5',
        'h_sum{x="m"} 47',
        'h_count{x="m"} 5',
    ]
    assert "# TYPE h histogram" in made.text()


def test_labels_are_escaped():
    made = Counter("c", "Help.", ["x"])
    made.add('a"b\\c\nd')
    assert lines(made) == [r'c{x="a\"b\\c\nd"} 1']


def test_names_in_requests_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(series, "MOST_SERIES", 3)
    made = Counter("c", "Help.", ["x"])
    for number in range(10):
        made.add(str(number))
    made.add("1")
    shown = ['c{x="0"} 1', 'c{x="1"} 2', 'c{x="2"} 1', 'c{x="other"} 7']
    assert lines(made) == shown


def test_threads_lose_no_count():
    made = Histogram("h", "Help.", ["x"], [1])

    def work():
        for _ in range(2000):
            made.observe("m", value=2)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lines(made)[-2:] == ['h_sum{x="m"} 16000', 'h_count{x="m"} 8000']
