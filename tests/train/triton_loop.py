"""The smallest Triton kernel that loops to a number it is given, as Liger's do; prints what it wrote."""

import torch
import triton
import triton.language as tl


@triton.jit
def count(out, n):
    for i in range(n):
        tl.store(out + i, i)


if __name__ == "__main__":
    out = torch.full((4,), -1, dtype=torch.int32)
    count[(1,)](out, 3)
    print(out.tolist())
