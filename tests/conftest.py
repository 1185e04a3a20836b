"""One thread a process: faster for tensors of this size, and the same on every machine."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # also for the processes that tests start

import torch
from hypothesis import settings

torch.set_num_threads(1)

# No deadline: how long an example takes says something of the machine. CI repeats the same examples; elsewhere new ones
# are drawn, and a failure found is kept in .hypothesis.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
