"""Watching studies from outside, while another process drives them: reads, and never writes."""

from metaopt.watch.follow import Follower, Overview
from metaopt.watch.screen import watch

__all__ = ["Follower", "Overview", "watch"]
