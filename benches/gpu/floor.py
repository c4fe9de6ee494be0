"""What the GPU could do at most, measured through PyTorch: matrix products and copying. Lines of name, figure, unit.

    python floor.py DEVICE
"""
import sys

import torch

device = torch.device(sys.argv[1])


def seconds(action, repeat=10):
    """Per call, by events, after a warm-up."""
    for _ in range(3):
        action()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(repeat):
        action()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3 / repeat


torch.cuda.set_device(device)
size = 8192
for name, dtype, tf32 in [
    ("float32", torch.float32, False), ("tf32", torch.float32, True), ("bf16", torch.bfloat16, False)
]:
    torch.backends.cuda.matmul.allow_tf32 = tf32
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    print(f"{name}\t{2 * size ** 3 / seconds(lambda: a @ b) / 1e12:.0f}\tTFLOP/s")
    del a, b
a = torch.empty(1 << 30, device=device, dtype=torch.uint8)
b = torch.empty_like(a)
# Read and written.
print(f"copy\t{2 * a.numel() / seconds(lambda: b.copy_(a)) / 1e9:.0f}\tGB/s")
