"""`tfrec index ...`: build, refresh and change an index."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions of `tfrec index` and their arguments."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    texts = {
        "build": "embed a whole catalogue into a new version",
        "refresh": "a new version that embeds only what changed",
        "add": "new or changed items, at once",
    }
    for name, text in texts.items():
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("index", help="folder of the index")
        action.add_argument("saved_models", help="folder with the exported towers")
        action.add_argument("catalogue", help="Parquet or CSV file, folder or glob")
        action.add_argument("--address", help="host:port of a server of the item tower")
        if name != "add":
            action.add_argument("--min-recall", type=float, default=0.9)
            action.add_argument("--queries", help=".npy file of user vectors")
        if name == "build":
            action.add_argument(
                "--cells",
                type=int,
                default=0,
                help="0: exact search; else faiss",
            )
            action.add_argument("--probes", type=int, default=16)
        action.set_defaults(run=run, action=name)
    texts = {
        "block": "never give these items",
        "unblock": "give these items again",
        "remove": "these items are gone",
    }
    for name, text in texts.items():
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("index", help="folder of the index")
        action.add_argument("ids", nargs="+", metavar="ID")
        action.set_defaults(run=run, action=name)


def run(options: argparse.Namespace) -> int:
    """Runs one action; returns its exit status."""
    import json

    import numpy as np

    from tfrec.index import folder, overlay
    from tfrec.index.versions import build, refresh

    try:
        if options.action in ("block", "unblock", "remove"):
            dtype = folder.facts(folder.current(options.index))["dtype"]
            ids = [int(i) if dtype == "int64" else i for i in options.ids]
            getattr(overlay, options.action)(options.index, ids)
            print(f"{options.action}: {len(ids)} items")
            return 0
        places = options.index, options.saved_models, options.catalogue
        if options.action == "add":
            print(f"add: {overlay.add(*places, address=options.address)} items")
            return 0
        more = {"address": options.address, "min_recall": options.min_recall}
        more["queries"] = np.load(options.queries) if options.queries else None
        if options.action == "build":
            more |= {"cells": options.cells, "probes": options.probes}
        make = build if options.action == "build" else refresh
        print(json.dumps(make(*places, **more), indent=2))
    except (OSError, ValueError, ImportError) as error:
        print(f"tfrec index {options.action}: {error}", file=sys.stderr)
        return 1
    return 0
