"""Reports of comparisons: on the terminal, and as Markdown, CSV and figures in a folder."""
