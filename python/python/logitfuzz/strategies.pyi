"""Types of the strategies for hypothesis."""

from typing import Any, Callable, Optional, Sequence, TypeVar, Union

from hypothesis.strategies import SearchStrategy

from . import Case

def cases(
    op: str,
    dtype: str = ...,
    *,
    families: Optional[Union[str, Sequence[str]]] = ...,
    max_len: int = ...,
    min_len: int = ...,
) -> SearchStrategy[Case]: ...

_Test = TypeVar("_Test", bound=Callable[..., Any])

def reduced(test: _Test) -> _Test: ...
