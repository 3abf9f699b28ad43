"""`tfrec serve`: arguments and what they start. TensorFlow is imported last."""

from __future__ import annotations

import argparse
import logging
import os
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments; those that TensorFlow Serving has bear its names."""
    parser.add_argument(
        "path",
        nargs="?",
        help="folder of servables, as saved_models/NAME, or one servable's folder",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 lets other machines in (%(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8500,
        help="gRPC port; 0: any free one, printed once it answers (%(default)s)",
    )
    parser.add_argument(
        "--model_config_file",
        metavar="FILE",
        help="a models.config that names servables",
    )
    parser.add_argument(
        "--model_base_path",
        metavar="FOLDER",
        help="folder of one servable's versions",
    )
    parser.add_argument(
        "--model_name",
        default="default",
        help="name of the servable in --model_base_path (%(default)s)",
    )
    parser.add_argument(
        "--grpc_channel_arguments",
        default="",
        metavar="KEY=VALUE,...",
        help="options of gRPC, as grpc.max_receive_message_length=4194304",
    )


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to stop; the exit status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(level=logging.INFO, format="tfrec serve: %(message)s")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    from tfrec.serving.errors import ServingError
    from tfrec.serving.server import serve

    try:
        serve(
            args.path,
            host=args.host,
            port=args.port,
            model_config_file=args.model_config_file,
            model_base_path=args.model_base_path,
            model_name=args.model_name,
            grpc_channel_arguments=args.grpc_channel_arguments,
            ready=_ready,
        )
    except (ServingError, ValueError) as error:
        print(f"tfrec {error}", file=sys.stderr)
        return 1
    return 0


def _ready(address: str) -> None:
    print(f"tfrec serve: listening on {address}", flush=True)
