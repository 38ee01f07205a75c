"""The strategies that come with metaopt, one algorithm per file."""
