"""Types of the public interface; what each does is said in its docstring."""

import os
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from . import strategies as strategies

__version__: str
OPS: Dict[str, Dict[str, Any]]
DTYPES: Dict[str, Tuple[str, str]]
FAMILIES: Dict[str, Tuple[str, bool]]
IGNORED: int
VERDICTS: Dict[str, Tuple[str, bool]]

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = Union[str, Callable[[Array], Any]]
Names = Union[str, Sequence[str]]

class Error(Exception): ...
class UsageError(Error, ValueError): ...
class HarnessError(Error, RuntimeError): ...
class NothingSelected(Error, ValueError): ...

class Unstable(Error, AssertionError):
    verdict: str
    case: str
    def __init__(self, message: str, verdict: str = ..., case: str = ...) -> None: ...

class BFloat16Array(np.ndarray[Any, np.dtype[Any]]):
    def __dlpack__(self, **options: Any) -> Any: ...

class _Inputs:
    op: str
    dtype: str
    inputs: Dict[str, Any]
    @property
    def logits(self) -> Array: ...
    @property
    def target(self) -> Any: ...
    @property
    def label_smoothing(self) -> float: ...
    @property
    def cotangent(self) -> Array: ...
    @property
    def tangent(self) -> Array: ...
    @property
    def label(self) -> Array: ...
    @property
    def distribution(self) -> Array: ...
    @property
    def other_logits(self) -> Array: ...
    @property
    def target_logits(self) -> Array: ...
    @property
    def values(self) -> Array: ...
    @property
    def scale(self) -> float: ...
    @property
    def args(self) -> Tuple[Any, ...]: ...
    @property
    def output_shape(self) -> Tuple[int, ...]: ...

class Case(_Inputs):
    family: Optional[str]
    index: Optional[int]
    seed: Optional[int]
    @classmethod
    def parse(cls, text: str) -> "Case": ...
    @property
    def text(self) -> str: ...
    def shrink(self, fails: Callable[["Case"], bool], budget: int = ...) -> "Case": ...

class Batch(_Inputs):
    origins: List[Tuple[str, int]]
    seed: int
    @property
    def shape(self) -> Tuple[int, int]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, row: int) -> Case: ...
    def __iter__(self) -> Iterator[Case]: ...

class Output:
    row: int
    index: int
    verdict: str
    got: str
    exact: str
    ulps: float
    bound: float
    ratio: float

class Judgement:
    op: str
    dtype: str
    verdict: str
    passed: bool
    verdicts: List[str]
    ulps: Array
    bounds: Array
    ratios: Array
    max_ulp: float
    max_ratio: float
    def worst(self, count: int = ...) -> List[Output]: ...
    def assert_accurate(self) -> None: ...
    def __bool__(self) -> bool: ...

class Finding:
    verdict: str
    family: str
    case: Case
    text: str
    data: Dict[str, Any]

class Check:
    passed: bool
    findings: List[Finding]
    results: Dict[str, Any]
    gate: Optional[str]
    @property
    def verdict(self) -> str: ...
    @property
    def cases(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    def assert_stable(self) -> None: ...
    def __bool__(self) -> bool: ...

def rows(
    op: str,
    dtype: str = ...,
    *,
    shape: Union[None, int, Tuple[int, int]] = ...,
    cases: int = ...,
    seed: int = ...,
    families: Optional[Names] = ...,
    max_len: int = ...,
) -> Iterator[Batch]: ...
def assert_accurate(inputs: Union[Batch, Case], outputs: Any, *, claims: str = ..., strict: bool = ...) -> None: ...
def judge(
    op: str,
    logits: Any,
    outputs: Any,
    *,
    dtype: Optional[str] = ...,
    target: Any = ...,
    label_smoothing: Optional[float] = ...,
    cotangent: Any = ...,
    tangent: Any = ...,
    label: Any = ...,
    distribution: Any = ...,
    other_logits: Any = ...,
    target_logits: Any = ...,
    values: Any = ...,
    scale: Optional[float] = ...,
    claims: str = ...,
    strict: bool = ...,
) -> Judgement: ...
def check(
    kernel: Callable[..., Any],
    op: str,
    dtypes: Names = ...,
    *,
    cases: int = ...,
    seed: int = ...,
    families: Optional[Names] = ...,
    shape: Union[None, int, Tuple[int, int]] = ...,
    max_len: int = ...,
    min_len: int = ...,
    claims: str = ...,
    strict: bool = ...,
    arrays: Arrays = ...,
    device: Any = ...,
    batched: bool = ...,
    deterministic: bool = ...,
    isolate: bool = ...,
    timeout: float = ...,
    memory: int = ...,
    jobs: int = ...,
    name: Optional[str] = ...,
    version: Optional[str] = ...,
    baseline: Optional[Union[str, "os.PathLike[str]"]] = ...,
    accept: Optional[bool] = ...,
) -> Check: ...
def replay(
    kernel: Callable[..., Any],
    case: Union[str, Case],
    *,
    arrays: Arrays = ...,
    device: Any = ...,
    batched: bool = ...,
    claims: str = ...,
    strict: bool = ...,
) -> Judgement: ...
def judge_file(
    file: Union[str, "os.PathLike[str]"],
    op: str,
    *,
    entry: Optional[str] = ...,
    dtype: str = ...,
    arrays: str = ...,
    cases: int = ...,
    seed: Optional[int] = ...,
    families: Optional[Names] = ...,
    claims: str = ...,
    strict: bool = ...,
    timeout: float = ...,
    memory: int = ...,
) -> Dict[str, Any]: ...
