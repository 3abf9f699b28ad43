"""`tfrec ...`: a thin shell over the library's functions."""

from __future__ import annotations

import argparse
import sys

from tfrec import __version__
from tfrec.index import command as index_command
from tfrec.replay import command as log_command
from tfrec.serving import command as serve_command


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="tfrec",
        description="Recommender models: fit on logs, export, serve.",
    )
    parser.add_argument("--version", action="version", version=f"tfrec {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = commands.add_parser(
        "demo",
        help="fit, evaluate, export and serve on real logs, in a few minutes",
        description="Fits a two-tower model and a ranker on 100,000 real movie "
        "ratings, exports them, scores them over gRPC and shows what comes out.",
    )
    demo.add_argument(
        "--output",
        default="demo_output",
        help="folder for models, pictures and servables (%(default)s)",
    )
    demo.add_argument(
        "--seed", type=int, default=1, help="seed of everything (%(default)s)"
    )
    demo.add_argument(
        "--quick",
        action="store_true",
        help="fewer epochs: shows that it works, not how well",
    )
    demo.set_defaults(run=_demo)

    serve = commands.add_parser(
        "serve",
        help="serve a folder of servables over gRPC, as TensorFlow Serving does",
        description="Serves what `tfrec.export.save` wrote, over TensorFlow "
        "Serving's gRPC API.",
    )
    serve_command.add_arguments(serve)
    serve.set_defaults(run=serve_command.run)

    index = commands.add_parser(
        "index",
        help="embed a catalogue, refresh and change its index",
        description="Vectors of a catalogue on disk, from an exported item tower.",
    )
    index_command.add_arguments(index)

    log = commands.add_parser(
        "log",
        help="replay a server's request log, warm up from it, compare it with data",
        description="What `tfrec serve --request_log_dir` wrote, put to use.",
    )
    log_command.add_arguments(log)

    describe = commands.add_parser(
        "describe",
        help="print the columns and tables of a feature_spec.json or spec file",
        description="Prints columns, tables and their sizes.",
    )
    describe.add_argument("path", help="a file that FeatureSpec.save or export wrote")
    describe.set_defaults(run=_describe)

    options = parser.parse_args(arguments)
    return options.run(options) or 0


def _demo(options: argparse.Namespace) -> int:
    from tfrec.demo.run import run

    return run(options.output, seed=options.seed, quick=options.quick)


def _describe(options: argparse.Namespace) -> int:
    import json

    from tfrec.features import FeatureSpec
    from tfrec.features.describe import describe

    try:
        with open(options.path, encoding="utf-8") as stream:
            document = json.load(stream)
        spec = FeatureSpec.from_json(document.get("spec", document))
        print(describe(spec))
    except (OSError, ValueError, AttributeError) as error:
        print(f"tfrec describe: {options.path}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
