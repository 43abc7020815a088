"""Damaged and hostile files for every reader, without end: python -m tests.fuzz (make fuzz).

`targets` has the readers and small valid files, `mutations` changes them, `sealing` gives what was
changed its checksums back, `judging` says what is wrong with the outcome, `working` runs it in a
process that may die.
"""
