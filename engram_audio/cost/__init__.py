"""What a study costs before it runs: jobs, hours, memory, disk, and the longest chain."""
