"""The table of steps: all systems of a cell at the same time, taking turns."""

import statistics

import workers
from training_cells import arrays_of, cells, keep, title


def speed(options):
    for cell in cells(options):
        print(title(cell), flush=True)
        found = measure(cell, options)
        keep(options.output, "speed", {**cell, "systems": found})
        base = found.get("tfrec", {}).get("cpu_ms")
        for system, values in found.items():
            print(f"  {system:12} {line(values, base)}", flush=True)


def line(values, base):
    if values["status"] != "ok":
        return values["status"]
    parts = [
        f"{values['cpu_ms']:8.1f} CPU ms",
        f"{values['wall_ms']:8.1f} ms",
        f"{values['rows_per_second']:9,.0f} rows/s",
        f"{values['peak_mb']:7,.0f} MB",
        f"{values['steps']:5} steps",
        f"fit {values['fit_start_ms']:5.0f} ms once",
        f"start {values['start_seconds'] + values['first_step_seconds']:5.1f} s",
    ]
    if base:
        parts.append(f"{values['cpu_ms'] / base:6.2f} x tfrec")
    return " ".join(parts)


def measure(cell, options):
    """{system: what was measured, or why not} of one cell."""
    arrays = arrays_of(options.folder, options.rows, cell["vocabulary"])
    running, found, counts = {}, {}, {}
    try:
        for system in options.systems:
            try:
                worker = workers.Worker(
                    system, cell, arrays, options.folder, options.timeout
                )
                running[system] = worker
                first = worker.ask("steps", count=1)
                warm = worker.ask("steps", count=4)
            except workers.Stopped as stopped:
                found[system] = {"status": str(stopped)}
                running.pop(system, None)
                continue
            counts[system] = count_of(warm, cell, options)
            found[system] = {
                "status": "ok",
                "parameters": worker.started["parameters"],
                "start_seconds": worker.started["wall"],
                "first_step_seconds": first["wall"],
                "rounds": [],
            }
        for _ in range(options.rounds):
            for system, worker in list(running.items()):
                try:
                    once = worker.ask("steps", count=1)
                    answer = worker.ask("steps", count=counts[system])
                except workers.Stopped as stopped:
                    found[system]["status"] = str(stopped)
                    del running[system]
                    continue
                counts[system] = count_of(answer, cell, options)
                found[system]["rounds"].append(
                    {
                        "steps": answer["steps"],
                        "wall": [round(a["wall"], 4) for a in (once, answer)],
                        "cpu": [round(a["cpu"], 4) for a in (once, answer)],
                    }
                )
                found[system]["peak_mb"] = round(answer["peak_mb"])
    finally:
        for worker in running.values():
            worker.stop()
    for values in found.values():
        if values["status"] == "ok":
            values |= summary(values["rounds"], cell["batch"])
    return found


def count_of(answer, cell, options):
    """Steps of the next round, going by the one before."""
    fit = int(options.seconds / (answer["wall"] / answer["steps"]))
    return max(3, min(options.steps, fit, options.rows // cell["batch"]))


def summary(rounds, batch):
    """Medians over the rounds, a step: n steps less one, over n - 1."""
    found = {}
    for name in ("cpu", "wall"):
        steps = [
            (r[name][1] - r[name][0]) / (r["steps"] - 1)
            for r in rounds
            if r["steps"] > 1
        ]
        found[f"{name}_ms"] = 1000 * statistics.median(steps)
    once = statistics.median(r["cpu"][0] for r in rounds)
    return {
        **found,
        "fit_start_ms": 1000 * once - found["cpu_ms"],
        "rows_per_second": 1000 * batch / found["wall_ms"],
        "steps": sum(r["steps"] for r in rounds),
    }
