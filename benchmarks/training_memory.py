"""Peak memory and start of one tfrec model, beside what its tables need."""

import workers
from training_cells import KEY, arrays_of, cells, keep, title

STEPS = 30
ALLOWED_MB = 600


def memory(options):
    for cell in cells(options):
        print(title(cell), flush=True)
        rows = (STEPS + 1) * cell["batch"]
        arrays = arrays_of(options.folder, rows, cell["vocabulary"])
        try:
            worker = workers.Worker(
                "tfrec", cell, arrays, options.folder, options.timeout
            )
            try:
                described = worker.ask("describe")
                first = worker.ask("steps", count=1)
                last = worker.ask("steps", count=STEPS)
            finally:
                worker.stop()
        except workers.Stopped as stopped:
            print(f"  {stopped}", flush=True)
            continue
        slots = {"adagrad": 1, "adam": 2}[cell["optimizer"]]
        tables = cell["vocabulary"] * (cell["dim"] + 1) * 4 * (1 + slots) / 2**20
        result = {
            "tables_mb": tables,
            "described_mb": described["bytes"] / 2**20,
            "imported_mb": worker.started["imported_mb"],
            "made_mb": worker.started["peak_mb"],
            "peak_mb": last["peak_mb"],
            "above_tables_mb": last["peak_mb"] - tables,
            "above_tables_and_imports_mb": last["peak_mb"]
            - tables
            - worker.started["imported_mb"],
            "make_seconds": worker.started["make_seconds"],
            "first_step_seconds": first["wall"],
        }
        result = {name: round(value, 1) for name, value in result.items()}
        for name, value in result.items():
            print(f"  {name:20} {value:10,.1f}", flush=True)
        key = {name: cell[name] for name in KEY if name in cell}
        keep(options.output, "memory", {**key, **result})
