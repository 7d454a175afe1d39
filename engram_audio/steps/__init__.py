"""One entry point per rule: parse, load, call, save."""
