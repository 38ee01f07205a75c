"""Which runs train together, on which device, with which engine, and for how long."""
