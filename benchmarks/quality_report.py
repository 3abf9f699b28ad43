"""Tables of the JSON that `quality.py` writes, put into a document.

A table stands between `<!-- TASK -->` and `<!-- end of TASK -->`; everything else in
the document stays as it is.
"""

import numpy as np

LOWER_IS_BETTER = ("log-loss",)
COST = "CPU s"


def write(found, document):
    """Replaces the table of each task; raises `ValueError` when it has no place."""
    text = document.read_text(encoding="utf-8")
    for task, results in found.items():
        begin, end = f"<!-- {task} -->", f"<!-- end of {task} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{document}: no place for the table {task!r}")
        start, stop = text.index(begin) + len(begin), text.index(end)
        text = text[:start] + "\n" + "\n".join(table(results)) + "\n" + text[stop:]
    document.write_text(text, encoding="utf-8")


def table(results):
    """Lines of a table: baselines, then models with mean (sd) over the seeds."""
    names = list(next(iter(results["baselines"].values())))
    metrics = [name for name in names if name != COST]
    rows = {
        name: {metric: [value] for metric, value in values.items()}
        for name, values in results["baselines"].items()
    }
    shown = {name: name for name in rows}
    for name, seeds in results.get("runs", {}).items():
        if seeds:
            runs = seeds.values()
            rows[name] = {metric: [run[metric] for run in runs] for metric in names}
            model, *variant = name.split(",")
            shown[name] = ",".join([f"`{model}`", *variant])
    best = {metric: _best(metric, rows) for metric in metrics}
    lines = [["", *metrics, "seeds", "rate, epochs", f"fit, {COST}"]]
    lines.append(["---"] * len(lines[0]))
    for name, values in rows.items():
        tried = results.get("tuned", {}).get(name)
        cells = [_cell(values[metric], name == best[metric]) for metric in metrics]
        chosen = max(tried, key=lambda one: one["value"]) if tried else None
        seeds = len(values[COST]) if tried else ""
        rate = f"{chosen['rate']}, {chosen['epochs']}" if chosen else ""
        cost = np.mean(values[COST])
        lines.append(
            [shown[name], *cells, seeds, rate, f"{cost:.0f}" if cost >= 1 else "< 1"]
        )
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def _best(metric, rows):
    means = {name: np.mean(values[metric]) for name, values in rows.items()}
    choose = min if metric in LOWER_IS_BETTER else max
    return choose(means, key=means.get)


def _cell(values, bold):
    mean = f"{np.mean(values):.3f}"
    mean = f"**{mean}**" if bold else mean
    return f"{mean} ({np.std(values, ddof=1):.3f})" if len(values) > 1 else mean
