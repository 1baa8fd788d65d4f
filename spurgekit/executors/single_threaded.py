"""Has NumPy and torch, when they are imported after this, count with one thread: as many processes count as there are cores."""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
