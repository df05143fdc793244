"""Python functions as kernels: what they are called with, and what is made of what they return. The same in this process and in a worker."""

import inspect
import os
import traceback
import warnings

import numpy as np

from ._arrays import array_of, to_library
from ._cases import DTYPES, OPS
from ._errors import UsageError
from ._judge import outputs_of

# The codes of answers, as in the worker protocol.
_OUTPUTS, _ERROR, _INPUT_CHANGED = 0, 1, 4
#: The longest text of an error, in characters.
_LONGEST_TEXT = 500


class Function:
    """A function that computes an op.

    Args:
        call: the function. It is called with all inputs in the order of the op. Batched, arrays have the shape (rows, n), classes are int64 of shape
            (rows,), and a label smoothing or a scale is one float; else arrays have the shape (n,) and a class is an int. A mean over rows takes
            its matrix (rows, n) and its classes (rows,) in either way, a class of -100 where a row is ignored.
        op: the op's name.
        arrays: ``"numpy"``, ``"torch"``, ``"jax"``, or a function that makes something of a NumPy array.
        device: where tensors of torch go.
        batched: whether it takes a matrix.
    """

    def __init__(self, call, op, arrays="numpy", device=None, batched=True):
        if not callable(call):
            raise UsageError(f"the kernel is {type(call).__name__}; a function is due")
        self.call = call
        self.op = op
        self.arrays = arrays
        self.device = device
        self.batched = batched
        self._others = OPS[op]["others"]
        self._keyword, self.takes_label_smoothing = _number_argument(call, self._others)

    def answer(self, rows, batches):
        """Answers rows, as :meth:`run` takes them, and then the rows of batches, as :meth:`run_batch` does, in one list."""
        return [*self.run(rows), *(answer for batch in batches for answer in self.run_batch(batch))]

    def run_batch(self, batch):
        """Answers a batch: (dtype, rows, n, memory of the logits, its row stride, targets, number, memory of the other rows, its row stride), with
        (code, bytes or text) for each row. What lies between the rows is there: arrays are views of a wider one."""
        dtype, rows, n, logits, stride, targets, number, other, other_stride = batch
        arrays, views = [], []
        for memory, width in ((logits, stride), (other, other_stride)):
            if memory is not None:
                arrays.append(_wide(memory, DTYPES[dtype][0], rows, n, width))
                views.append(arrays[-1][:, :n])
        if targets:
            views.append(np.array(targets, np.int64))
            arrays.append(views[-1])
        try:
            return self._answers(dtype, views, arrays, number, rows)
        except Exception as error:
            return [(_ERROR, _words(error))] * rows

    def run(self, rows):
        """Answers rows, each (dtype, n, logits, target, number, other row, classes), with (code, bytes or text) each, in their order."""
        answers = [None] * len(rows)
        groups = {}
        is_together = self.batched and not OPS[self.op]["takes_rows"]
        for place, (dtype, n, _, _, number, *_) in enumerate(rows):
            # As text, which tells -0 from 0.
            groups.setdefault((dtype, n, repr(number)) if is_together else place, []).append(place)
        for places in groups.values():
            self._run_group(rows, places, answers)
        return answers

    def _run_group(self, rows, places, answers):
        try:
            given = self._call([rows[place] for place in places])
        except Exception as error:
            if len(places) == 1:
                answers[places[0]] = (_ERROR, _words(error))
                return
            # Whose doing is it?
            for place in places:
                self._run_group(rows, [place], answers)
            if all(answers[place][0] == _OUTPUTS for place in places):
                text = f"{len(places)} rows together: {_words(error)}"
                for place in places:
                    answers[place] = (_ERROR, text[:_LONGEST_TEXT])
            return
        for place, answer in zip(places, given):
            answers[place] = answer

    def _call(self, rows):
        dtype, n = rows[0][:2]
        read, written = DTYPES[dtype]
        classes = rows[0][6]
        if classes is not None:
            shape = (len(classes), n // len(classes) if classes else 0)
        else:
            shape = (len(rows), n) if self.batched else (n,)
        given = [array_of(bytearray().join(row[2] for row in rows), read, shape)]
        for _, extent in self._others:
            if extent == "row":
                given.append(array_of(bytearray().join(row[5] for row in rows), read, shape))
            elif extent == "indices":
                given.append(np.array(classes, np.int64))
            elif extent == "index":
                targets = [row[3] for row in rows]
                given.append(np.array(targets, np.int64) if self.batched else targets[0])
        arrays = [value for value in given if isinstance(value, np.ndarray)]
        answers = self._answers(dtype, given, arrays, rows[0][4], len(rows))
        if len(rows) > 1 and answers[0][0] == _INPUT_CHANGED:
            # Each row by itself, to see which.
            return [self._call([row])[0] for row in rows]
        return answers

    def _answers(self, dtype, given, arrays, number, rows):
        """Calls the function on what it is given, in the order of the op and without the number; these arrays must be as before afterwards.
        Returns (code, bytes or text) for so many rows."""
        before = [array.tobytes() for array in arrays]
        arguments = [to_library(a, self.arrays, self.device) if isinstance(a, np.ndarray) else a for a in given]
        keywords = {}
        for name, extent in self._others:
            if extent == "number" and self._keyword == name:
                keywords[name] = number
            elif extent == "number" and (name != "label_smoothing" or self.takes_label_smoothing):
                arguments.append(number)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            result = self.call(*arguments, **keywords)
        shape = given[0].shape
        of_rows = self.batched and not OPS[self.op]["takes_rows"]
        due = (shape[:1] if of_rows else ()) if OPS[self.op]["is_scalar"] else shape
        data = outputs_of(result, due, dtype, "the result")
        if any(array.tobytes() != bytes_ for array, bytes_ in zip(arrays, before)):
            return [(_INPUT_CHANGED, "the function changed an array that it was given")] * rows
        width = len(data) // rows
        return [(_OUTPUTS, data[i * width : (i + 1) * width]) for i in range(rows)]


def _wide(memory, kind, rows, n, stride):
    """The array whose rows are the rows of a batch with what lies behind each. The last row has nothing behind it; as the others have, it gets
    what lies behind the first."""
    width = len(memory) // ((rows - 1) * stride + n) if memory else 0
    if rows == 1:
        return array_of(bytearray(memory), kind, (1, n))
    return array_of(bytearray(memory) + memory[n * width : stride * width], kind, (rows, stride))


def _number_argument(call, others):
    """How a function takes the number of its op: by keyword under this name, or None; and whether it takes a label smoothing."""
    names = [name for name, extent in others if extent == "number"]
    if not names:
        return None, True
    try:
        parameters = inspect.signature(call).parameters
    except (TypeError, ValueError):
        return None, True
    if names[0] in parameters and parameters[names[0]].kind != inspect.Parameter.POSITIONAL_ONLY:
        return names[0], True
    kinds = [parameter.kind for parameter in parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None, True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return None, sum(kind in positional for kind in kinds) >= 1 + len(others)


def _words(error):
    """What was raised, and where, in a line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if os.path.dirname(frame.filename) != os.path.dirname(__file__)]
    if frames:
        text += f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno}, in {frames[-1].name})"
    return text[:_LONGEST_TEXT].encode(errors="replace").decode()
