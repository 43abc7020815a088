"""Full disks, failing disks, short and interrupted calls: at every call of a writer or a reader, by
a shim that is preloaded.

`shim.c` fails the k-th call; `scenarios` has what is run; python -m tests.faults NAME ... runs it
in a process with the shim.
"""
