"""The adversary of the error bound: problems that break bounds, and the verdict on what the library
says of them.

`problems` describes and draws problems, `verdict` compares one result with the balls of
`tests.balls`, `known` holds what was once found, and `python -m tests.adversary` is the long run.
"""
