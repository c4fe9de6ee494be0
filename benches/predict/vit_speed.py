"""Frozen features of DINOv2's ViT-S/14 beside PyTorch, one pass each in turn: times, and the peak of each process's memory.

    cargo build --release -p matssl-train --example vit_speed
    python benches/predict/vit_speed.py target/release/examples/vit_speed [BATCH SIDE PASSES THREADS]

PyTorch's side is `Vit` of tests/parity/reference/vit.py, whose attention is `scaled_dot_product_attention`; both have random weights.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytorch(batch, side):
    import torch

    sys.path.insert(0, str(ROOT / "tests/parity/reference"))
    from vit import Vit

    torch.set_num_threads(int(os.environ["RAYON_NUM_THREADS"]))
    network = Vit(384, 12, 6, 37, 0).eval()
    x = torch.randn(batch, 3, side, side)
    for _ in sys.stdin:
        start = time.perf_counter()
        with torch.inference_mode():
            network(x)[0, 0, 0, 0].item()
        print(time.perf_counter() - start, flush=True)


def peak(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main(binary, batch=4, side=518, passes=7, threads=2):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    commands = {"ours": [binary, str(batch), str(side)], "PyTorch": [sys.executable, __file__, "peer", str(batch), str(side)]}
    processes = {
        name: subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for name, command in commands.items()
    }
    times = {name: [] for name in processes}
    for turn in range(int(passes) + 1):
        for name, process in processes.items():
            process.stdin.write("\n")
            process.stdin.flush()
            seconds = float(process.stdout.readline().split()[0])
            # The first pass warms up.
            if turn:
                times[name].append(seconds)
    for name, process in processes.items():
        print(f"{name}: median {statistics.median(times[name]):.3f} s, least {min(times[name]):.3f} s, {peak(process):.0f} MiB")
        process.stdin.close()
    pairs = [ours / theirs for ours, theirs in zip(times["ours"], times["PyTorch"])]
    print(f"ours ÷ PyTorch: median of pairs {statistics.median(pairs):.2f}, least ÷ least {min(times['ours']) / min(times['PyTorch']):.2f}")


if __name__ == "__main__":
    if sys.argv[1] == "peer":
        pytorch(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main(*sys.argv[1:])
