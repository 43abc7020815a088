"""Plug-ins of nc1fast: an activation, a metric, a kind of file, a study."""
