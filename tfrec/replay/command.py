"""`tfrec log ...`: replay, warmup and skew of a request log."""

from __future__ import annotations

import argparse
import logging
import os
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions of `tfrec log` and their arguments."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    texts = {
        "replay": "ask a version what the log was asked; 1 when answers differ",
        "warmup": "write a warm-up file from the log's first requests",
        "skew": "requests beside training rows: unknown and missing values",
    }
    for name, text in texts.items():
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("log", help="a file, a glob or the log's folder")
        if name == "warmup":
            action.add_argument("file", help="the file to write")
            action.add_argument("--records", type=int, default=1000)
        else:
            action.add_argument("version", help="folder of a version, as ranker/2")
        if name == "replay":
            action.add_argument(
                "--tolerance",
                type=float,
                default=1e-5,
                help="largest difference that counts as the same (%(default)s)",
            )
        if name == "skew":
            action.add_argument("rows", help="Parquet file, folder or glob")
        action.set_defaults(run=run, action=name)


def run(options: argparse.Namespace) -> int:
    """Runs one action; returns its exit status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    from tfrec import replay
    from tfrec.serving.errors import ServingError

    try:
        if options.action == "warmup":
            count = replay.write_warmup(options.log, options.file, options.records)
            print(f"{count} requests in {options.file}")
        elif options.action == "skew":
            table = replay.skew(options.log, options.version, options.rows)
            print(table.round(4).to_string(index=False))
        else:
            report = replay.replay(
                options.log, options.version, tolerance=options.tolerance
            )
            print(report)
            return 0 if report.same else 1
    except (OSError, ValueError, ServingError) as error:
        print(f"tfrec log {options.action}: {error}", file=sys.stderr)
        return 1
    return 0
