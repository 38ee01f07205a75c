"""Types shared by all subpackages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Direction = Literal["minimize", "maximize"]
Curve = Sequence[tuple[float, float]]  # (step, value) of each report, with increasing steps
