"""The decorator: a function enters, and one that logs each of its calls leaves.

Plain and async functions; a call's value and exceptions pass through untouched, and logging adds microseconds.
"""

import asyncio
import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from time import perf_counter, time
from typing import Any, Literal, Self, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
Output = Literal["score", "probabilities", "prediction"] | Callable[[Any], Mapping[str, Any]]
Source = str | Callable[..., Any]
Log = Callable[..., None]
"""Takes features (of one prediction, or columns of many) and the other arguments of `log`."""
Report = Callable[[str, Exception], None]

_ANSWERS = frozenset(("score", "probabilities", "prediction"))
_FIELDS = _ANSWERS | {"id", "segments", "trace_id", "cost_usd", "metadata", "ts", "error"}


def tracked(
    log: Log, report: Report, function: Function, features: Source | None, id_: Source | None, output: Output
) -> Function:
    """`function`, logging each call to `log`; TypeError when an argument named is not one of the function's."""
    parameters = inspect.signature(function).parameters
    candidates = [name for name in parameters if name not in ("self", "cls")]
    if features is None and not candidates:
        raise TypeError(f"{function!r} has no argument to take features from; give features= a callable")
    read_features = _reader(parameters, candidates[0] if features is None else features)
    sources = (read_features, None if id_ is None else _reader(parameters, id_))
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            with _Call(log, report, sources, output, (args, kwargs)) as running:
                running.value = await function(*args, **kwargs)
            return running.value

        return run_async  # type: ignore[return-value]  # wraps keeps the signature

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with _Call(log, report, sources, output, (args, kwargs)) as running:
            running.value = function(*args, **kwargs)
        return running.value

    return run  # type: ignore[return-value]  # wraps keeps the signature


class _Call:
    """One running call: measured from entering to leaving, logged on leaving."""

    def __init__(
        self,
        log: Log,
        report: Report,
        sources: tuple[Callable[..., Any], Callable[..., Any] | None],
        output: Output,
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
    ) -> None:
        self.value: Any = None
        self._log = log
        self._report = report
        self._output = output
        self._features: Any = None
        self._id: Any = None
        try:
            args, kwargs = arguments
            features, id_ = sources
            # A copy, because models often change their input, and what they were given is what must be logged.
            self._features = copy.copy(features(*args, **kwargs))
            self._id = None if id_ is None else id_(*args, **kwargs)
        except Exception as problem:  # noqa: BLE001 - logging must not break the call
            report("a call's features cannot be read", problem)

    def __enter__(self) -> Self:
        self._ts = time()
        self._started = perf_counter()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        latency = perf_counter() - self._started
        try:
            if error is None:
                self._write(latency, _fields(self.value, self._output))
            elif isinstance(error, (Exception, asyncio.CancelledError)):
                self._write(latency, {"error": type(error).__name__})
        except Exception as problem:  # noqa: BLE001 - logging must not break the call
            self._report("a call was not logged", problem)

    def _write(self, latency: float, fields: Mapping[str, Any]) -> None:
        self._log(self._features, **{"id": self._id, "ts": self._ts, **fields, "latency_seconds": latency})


def _fields(value: Any, output: Output) -> Mapping[str, Any]:
    """The arguments of `log` that a returned value means."""
    if callable(output):
        return output(value)
    if isinstance(value, Mapping) and not _ANSWERS.isdisjoint(value):
        return {name: item for name, item in value.items() if name in _FIELDS}
    return {output: value}


def _reader(parameters: Mapping[str, inspect.Parameter], source: Source) -> Callable[..., Any]:
    """A function of a call's arguments that gives the one called `source`, or what the callable `source` makes."""
    if callable(source):
        return source
    if source not in parameters:
        raise TypeError(f"no argument is called {source!r}; there are {', '.join(parameters)}")
    index = list(parameters).index(source)
    default = parameters[source].default

    def read(*args: Any, **kwargs: Any) -> Any:
        return args[index] if index < len(args) else kwargs.get(source, default)

    return read
