"""Schedule training runs: group them into batches, select device and engine, train epochs."""
