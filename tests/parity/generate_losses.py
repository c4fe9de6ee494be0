"""Writes what PyTorch computes for losses (`reference/losses.py`): losses.json, in the form of ops.json.

    python tests/parity/generate_losses.py            makes it anew
    python tests/parity/generate_losses.py --check    compares with what is committed

Needs what `generate.py` needs.
"""

import json
import pathlib
import sys

import torch

from generate import differences, text
from reference import losses

FILE = pathlib.Path(__file__).parent / "losses.json"


def main():
    torch.set_num_threads(1)
    versions = {"torch": torch.__version__, "cpu": torch.backends.cpu.get_cpu_capability()}
    made = text({"versions": versions, **losses.fixture()})
    if "--check" not in sys.argv[1:]:
        FILE.write_text(made)
        return print(FILE.name, FILE.stat().st_size, "bytes")
    found = list(differences(FILE.name, json.loads(made), json.loads(FILE.read_text())))
    print("\n".join(found) or "the committed fixture is what PyTorch computes here")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
