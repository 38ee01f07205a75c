"""The method `report` of everything that a report can be written of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from metaopt.core.errors import MetaoptError, StudyError


class Reported(ABC):
    """Base of studies and comparisons: what a report can be written of."""

    def report(self, path: str | Path) -> Path:
        """Write a report: a self-contained HTML page, with its figures and tables as files.

        Args:
            path: a folder, which is created if necessary; or a file that ends with ``.html``, for
                the page without the other files.

        Returns:
            The path of the page.

        Raises:
            StudyError: `path` is a file with another ending, a folder with the ending of a page or
                no path at all, or the files cannot be written.
        """
        try:
            return self._write_report(path)
        except MetaoptError:
            raise
        except OSError as error:
            raise StudyError(
                f"the report cannot be written to {path}: {error.strerror or error}; give a folder"
                f" in which you may write, such as 'report'"
            ) from error

    @abstractmethod
    def _write_report(self, path: str | Path) -> Path:
        """Write the report and return the page."""
