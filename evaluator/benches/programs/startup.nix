# Nothing to do but to begin and to end.
1 + 1
