"""The one training loop: seeds, schedule, checkpoint and resume, logging."""
