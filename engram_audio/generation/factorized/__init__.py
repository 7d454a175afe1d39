"""The factorised path: an arm draws z_dyn, the factoriser draws each frame given it."""
