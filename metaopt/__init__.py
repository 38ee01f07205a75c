"""metaopt: good configurations for expensive objectives, and which strategy is really better.

The public names stand in `__init__.pyi`, once. Each is loaded when it is first used, so that
`import metaopt` costs little more than numpy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
