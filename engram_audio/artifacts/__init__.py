"""Typed, atomic, versioned reading and writing: the only code that knows a file format."""
