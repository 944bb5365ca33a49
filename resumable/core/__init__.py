"""Pure decisions: values in, values out. No I/O, clock, threads or randomness."""
