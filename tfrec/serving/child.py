"""`python -m tfrec.serving PATH`: the same as `tfrec serve PATH`."""

import argparse
import sys

from tfrec.serving import command

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tfrec.serving")
    command.add_arguments(parser)
    sys.exit(command.run(parser.parse_args()))
