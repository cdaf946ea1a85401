"""`./mien export NAME`, NAME being a row of the table, a group of rows, or all."""

import argparse
import sys
from pathlib import Path

import torch

from engine.errors import ModelError
from engine.runtime.placement import BATCHES
from export.exporting import export
from export.table import PUBLISHED, Row, rows_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("network", help="which")
    parser.add_argument("--run", type=Path, help="run folder, or folder of PD-FGC's networks (default: what ships)")
    parser.add_argument(
        "--out", type=Path, help=f"folder (default: where the engine looks for a run's files, else {PUBLISHED})"
    )
    parser.add_argument("--batch", type=int, nargs="+", choices=BATCHES, default=[1], metavar="N", help="sizes: 1 2 4 8 16 32")
    parser.add_argument("--half", action="store_true", help="FP16 in the graph, FP32 where FP16 misses a bar")
    parser.add_argument("--store-half", action="store_true", help="keep weights in half: half the size, the same arithmetic")
    parser.add_argument("--threads", type=int, default=1)


def main(args: argparse.Namespace) -> int:
    """Export; return the exit status.

    Raises:
        ModelError: if a network has no weights, or its file differs from it.
    """
    torch.set_num_threads(args.threads)
    rows = rows_of(args.network)
    if args.network == "all" and args.run is not None:
        raise ModelError("--run is of one network, or of a group: name it instead of all")
    for row in rows:
        if args.run is None and not row.has_weights():
            if len(rows) == 1 or args.network == row.group:
                raise ModelError(f"{row.name} needs weights: give a run, or a folder that holds pdfgc.safetensors (--run)")
            sys.stdout.write(f"{row.name}: left out, no weights in {row.source}\n")
            continue
        _export(row, args)
    return 0


def _export(row: Row, args: argparse.Namespace) -> None:
    folder = args.out or (row.folder if args.run or not row.ships else PUBLISHED)
    network = row.open(args.run)
    stored_in_half = args.store_half or row.stored_in_half
    export(network, folder, args.batch, row.probes, half=args.half, stored_in_half=stored_in_half)
    if row.beside is not None and (source := args.run or row.source) is not None:
        row.beside(source, folder)
