"""From the runs of a comparison to its conclusions: data, plan, tests and sentences."""
