"""Reports: on the terminal, and as a self-contained page with figures and tables as files."""
