"""Parameter importance: how much each parameter contributes to the differences between values.

`parameter_importance` reads a study; `fanova` and `ped_anova` take a space, configurations and
their values. scikit-learn is imported only when `fanova` is called.
"""

from metaopt.importance.density import ped_anova
from metaopt.importance.result import Importance
from metaopt.importance.study import METHODS, parameter_importance
from metaopt.importance.variance import Fanova, fanova

__all__ = ["METHODS", "Fanova", "Importance", "fanova", "parameter_importance", "ped_anova"]
