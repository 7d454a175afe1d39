"""Known answers through the whole instrument: oracles injected, power, sabotage, calibration."""
