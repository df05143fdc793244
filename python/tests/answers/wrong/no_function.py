"""Nothing that could be called."""
answer = 42
