"""The strategies that come with metaopt, one algorithm a file."""
