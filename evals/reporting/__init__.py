"""A report as people read it: one fragment of HTML for the page, the same within a file that needs nothing else."""
