"""Fills the tables of docs/performance.md from the JSON of `training.py`.

A table stands between `<!-- NAME -->` and `<!-- end of NAME -->`; everything else in
the document stays as it is.
"""

import re
import statistics

from training_cells import read

TITLES = {
    "deepfm": "DeepFM",
    "dcn": "DCN-v2",
    "xdeepfm": "xDeepFM",
    "autoint": "AutoInt",
    "fibinet": "FiBiNET",
}
SYSTEMS = ("tfrec", "tfrec_xla", "limit", "tfrec_arrays", "plain", "deepctr")
NOT_MEASURED = "not measured"


def write(results, document):
    found = read(results)
    tables = {
        "machine": machine(found),
        "targets": targets(found),
        "speed": speed(found, "beside"),
        "speed of the functions": speed(found, "fields"),
        "quality": quality(found),
        "input": pipeline(found),
        "memory": memory(found),
        "profile": profile(found),
    }
    text = document.read_text(encoding="utf-8")
    for name, lines in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{document}: no place for the table {name!r}")
        start, stop = text.index(begin) + len(begin), text.index(end)
        text = text[:start] + "\n" + "\n".join(lines) + "\n" + text[stop:]
    document.write_text(text, encoding="utf-8")
    print(f"{document}: {len(tables)} tables")


def table(head, rows):
    if not rows:
        return [NOT_MEASURED.capitalize() + "."]
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def machine(found):
    parts = found.get("machine", {})
    return [", ".join(f"{name} {value}" for name, value in parts.items()) + "."]


def speed(found, numbers):
    rows = []
    for cell in ordered(found.get("speed", [])):
        if cell["numbers"] != numbers:
            continue
        systems = cell["systems"]
        row = [name_of(cell["model"]), f"{cell['vocabulary']:,}", cell["batch"]]
        row.append(cell["optimizer"])
        row += [milliseconds(systems.get(system)) for system in SYSTEMS]
        row += [
            ratio(systems, one, other)
            for one, other in (
                ("tfrec", "limit"),
                ("tfrec_xla", "limit"),
                ("plain", "tfrec"),
                ("deepctr", "tfrec"),
                ("deepctr", "tfrec_xla"),
                ("deepctr", "tfrec_arrays"),
            )
        ]
        rows.append([*row, rate(systems.get("tfrec")), peak(systems.get("tfrec"))])
    head = ["model", "rows in all", "batch", "optimizer", *SYSTEMS]
    head += ["tfrec / limit", "tfrec_xla / limit", "plain / tfrec"]
    head += ["deepctr / tfrec", "deepctr / tfrec_xla", "deepctr / tfrec_arrays"]
    return table([*head, "tfrec rows/s", "tfrec peak MB"], rows)


def ordered(parts):
    models = list(TITLES)
    return sorted(
        parts,
        key=lambda cell: (
            models.index(cell["model"]),
            cell["batch"],
            cell["optimizer"],
            cell["vocabulary"],
        ),
    )


def name_of(model):
    return TITLES[model]


def milliseconds(values):
    if values is None:
        return ""
    if values["status"] != "ok":
        return re.split(r"[:(]| after ", values["status"])[0]
    return f"{values['cpu_ms']:.1f}"


def rate(values):
    return f"{values['rows_per_second']:,.0f}" if ok(values) else ""


def peak(values):
    return f"{values['peak_mb']:,}" if ok(values) else ""


def numbers_of(values):
    """True when all seeds of a system have a number."""
    return bool(values) and not any(isinstance(value, str) for value in values)


def ok(values):
    return values is not None and values["status"] == "ok"


def ratio(systems, one, other):
    value = quotient(systems, one, other)
    return "" if value is None else f"{value:.2f}"


def quotient(systems, one, other):
    """CPU time of one system over that of another, where both were measured."""
    if not ok(systems.get(one)) or not ok(systems.get(other)):
        return None
    return systems[one]["cpu_ms"] / systems[other]["cpu_ms"]


def quality(found):
    rows = []
    for cell in ordered(found.get("quality", [])):
        means = {}
        for system, areas in cell["auc"].items():
            numbers = [area for area in areas if not isinstance(area, str)]
            if numbers:
                means[system] = sum(numbers) / len(numbers)
        for system, areas in cell["auc"].items():
            row = [name_of(cell["model"]), f"{cell['vocabulary']:,}"]
            row += [cell["optimizer"], system]
            row.append(
                ", ".join(a if isinstance(a, str) else f"{a:.4f}" for a in areas)
            )
            away = ""
            if system in means and "deepctr" in means:
                away = f"{means[system] - means['deepctr']:+.4f}"
            rows.append([*row, away, f"{cell['best_possible']:.4f}"])
    head = ["model", "rows in all", "optimizer", "system", "AUC of each seed"]
    return table([*head, "mean less DeepCTR's", "AUC of the true chances"], rows)


def pipeline(found):
    rows = []
    for cell in ordered(found.get("input", [])):
        base = cell["cases"]["arrays"]["rows_per_second"]
        for name, values in cell["cases"].items():
            speed = values["rows_per_second"]
            row = [cell["batch"], cell["optimizer"], f"`{name}`", f"{speed:,.0f}"]
            rows.append(
                [*row, f"{100 * speed / base:.0f} %", f"{values['cpu_us_per_row']:.1f}"]
            )
    head = ["batch", "optimizer", "fit from", "rows/s", "of arrays", "CPU µs a row"]
    return table(head, rows)


def memory(found):
    names = ("tables_mb", "described_mb", "imported_mb", "peak_mb")
    names += ("above_tables_mb", "above_tables_and_imports_mb")
    names += ("make_seconds", "first_step_seconds")
    rows = [
        [
            name_of(cell["model"]),
            f"{cell['vocabulary']:,}",
            cell["optimizer"],
            *(f"{cell[name]:,.1f}" for name in names),
        ]
        for cell in ordered(found.get("memory", []))
    ]
    head = ["model", "rows in all", "optimizer", "tables and slots, MB"]
    head += ["`tfrec.describe`, MB", "TensorFlow and Keras imported, MB", "peak, MB"]
    head += ["above tables and slots, MB", "above these and the imports, MB"]
    return table([*head, "model made, s", "first step, s"], rows)


def profile(found):
    cells = ordered(found.get("profile", []))
    parts = list(cells[0]["parts"]) if cells else []
    rows = [
        [
            name_of(cell["model"]),
            f"{cell['vocabulary']:,}",
            cell["batch"],
            cell["optimizer"],
            *(f"{cell['parts'][part]:.1f}" for part in parts),
            f"{sum(cell['parts'].values()):.1f}",
        ]
        for cell in cells
    ]
    head = ["model", "rows in all", "batch", "optimizer", *parts, "fit"]
    return table(head, rows)


def targets(found):
    """What was asked for, what was measured, met or not."""
    cells = {
        (c["model"], c["numbers"], c["vocabulary"], c["batch"], c["optimizer"]): c
        for c in found.get("speed", [])
    }
    rows = []

    def add(text, value, limit, at_most):
        if value is None:
            rows.append([text, limit, "", NOT_MEASURED])
            return
        met = value <= limit if at_most else value >= limit
        rows.append([text, limit, f"{value:.3g}", "met" if met else "not met"])

    def systems(vocabulary, optimizer):
        cell = cells.get(("deepfm", "beside", vocabulary, 1024, optimizer), {})
        return cell.get("systems", {})

    for optimizer in ("adam", "adagrad"):
        both = {
            str(vocabulary): systems(vocabulary, optimizer).get("tfrec")
            for vocabulary in (100_000, 20_000_000)
        }
        text = f"DeepFM, {optimizer}: step at 2e7 rows / step at 1e5 rows, at most"
        add(text, quotient(both, "20000000", "100000"), 1.3, True)
    for vocabulary, optimizer, ours, limit in (
        (4_000_000, "adam", "tfrec", 20),
        (4_000_000, "adam", "tfrec_xla", 20),
        (4_000_000, "adagrad", "tfrec", 15),
        (4_000_000, "adagrad", "tfrec_xla", 15),
        (100_000, "adam", "tfrec", 1.4),
        (100_000, "adam", "tfrec_xla", 2),
        (100_000, "adagrad", "tfrec", 1.4),
        (100_000, "adagrad", "tfrec_xla", 2),
    ):
        text = f"DeepFM, {optimizer}, {vocabulary:,} rows: DeepCTR / {ours}, at least"
        value = quotient(systems(vocabulary, optimizer), "deepctr", ours)
        add(text, value, limit, False)
    for ours in ("tfrec", "tfrec_xla"):
        over = [quotient(c["systems"], ours, "limit") for c in cells.values()]
        over = [value for value in over if value is not None]
        text = f"{ours} / limit, largest of {len(over)} cells, at most"
        add(text, max(over, default=None), 1.2, True)
    away = [
        abs(
            statistics.mean(cell["auc"]["tfrec"])
            - statistics.mean(cell["auc"]["deepctr"])
        )
        for cell in found.get("quality", [])
        if all(numbers_of(cell["auc"].get(name)) for name in ("tfrec", "deepctr"))
    ]
    text = (
        f"mean AUC away from DeepCTR's mean, larger of {len(away)} optimizers, at most"
    )
    add(text, max(away, default=None), 0.002, True)
    shares = [
        cell["cases"]["from_parquet"]["rows_per_second"]
        / cell["cases"]["arrays"]["rows_per_second"]
        for cell in found.get("input", [])
    ]
    text = "fit from Parquet / fit from arrays, rows/s, at least"
    add(text, min(shares, default=None), 0.9, False)
    above = [
        cell["above_tables_mb"]
        for cell in found.get("memory", [])
        if cell["vocabulary"] == 20_000_000 and cell["optimizer"] == "adagrad"
    ]
    text = "MB above tables and slots, 2e7 rows of 16, Adagrad, at most"
    add(text, max(above, default=None), 600, True)
    above = [
        cell["above_tables_and_imports_mb"]
        for cell in found.get("memory", [])
        if cell["vocabulary"] == 20_000_000 and cell["optimizer"] == "adagrad"
    ]
    text = "the same, without what importing TensorFlow takes"
    add(text, max(above, default=None), 600, True)
    return table(["target", "limit", "measured", ""], rows)
