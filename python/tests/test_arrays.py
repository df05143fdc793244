"""The entry for arrays of any library: formats, strides, byte orders, capsules; nothing is changed, nothing is read out of bounds."""

import ctypes

import numpy as np
import pytest

import logitfuzz as lf
from logitfuzz import _core
from logitfuzz._arrays import array_of, in_format, to_host, widened

ROW = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)


def numbers(value):
    return widened(to_host(value, "x")).tolist()


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[:, ::-1],
        lambda a: a[::-1],
        lambda a: a[:, ::2],
        lambda a: a.T,
        lambda a: np.broadcast_to(a[0], (3, 4)),
        lambda a: np.asfortranarray(a),
        lambda a: a.astype(">f4"),
        lambda a: a.astype("<f4"),
        lambda a: a[0:0],
        lambda a: np.lib.stride_tricks.as_strided(a, (2, 2), (4, 4)),
        lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(np.float32).reshape(2, 4),
    ],
)
def test_any_strides_and_byte_orders_are_read(view):
    array = view(ROW.copy())
    before = array.tobytes()
    assert numbers(array) == array.tolist()
    array.flags.writeable = False
    assert numbers(array) == array.tolist()
    assert array.tobytes() == before


class Foreign:
    """A tensor of a library that speaks DLPack alone."""

    def __init__(self, array, device=(1, 0)):
        self.array, self.device = array, device

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("view", [lambda a: a, lambda a: a[:, ::-1], lambda a: a.T, lambda a: a[::2], lambda a: np.lib.stride_tricks.as_strided(a, a.shape, (0, a.strides[1])), lambda a: a[:0]])
def test_tensors_over_dlpack(dtype, view):
    array = view(ROW.astype(dtype))
    before = array.tobytes()
    assert numbers(Foreign(array)) == array.astype(float).tolist()
    assert array.tobytes() == before


def test_bf16_goes_out_and_comes_back():
    case = lf.Case.parse("softmax bf16 [1, -2.5, inf, nan, 0x1p-133]")
    capsule = case.logits.__dlpack__()
    kind, shape, data = _core.read_dlpack(capsule)
    assert (kind, shape, bytes(data)) == ("bf16", [5], case.logits.view(np.ndarray).tobytes())
    assert to_host(case.logits, "x").kind in ("bf16", "u16")


def test_every_half_is_kept():
    bits = np.arange(1 << 16, dtype=np.uint16)
    for kind in ("f16", "bf16"):
        array = array_of(bytearray(bits.tobytes()), kind, (1 << 16,))
        wide = widened(to_host(array, "x")) if kind == "f16" or array.dtype != np.uint16 else None
        if wide is None:
            continue
        back = in_format(to_host(wide, "x"), kind, "x")
        same = np.frombuffer(back, np.uint16)
        is_nan = np.isnan(wide)
        assert (same[~is_nan] == bits[~is_nan]).all()


def test_f64_is_rounded_to_bf16_once():
    from logitfuzz._arrays import rounded_number

    # Just above and just below the middle of two neighbours; f32 alone would lose the difference.
    middle = 1 + 2.0**-8
    assert rounded_number(middle, "bf16") == 1.0
    assert rounded_number(middle + 2.0**-40, "bf16") == 1 + 2.0**-7
    assert rounded_number(1 + 3 * 2.0**-8 - 2.0**-40, "bf16") == 1 + 2.0**-7
    assert rounded_number(-(middle + 2.0**-40), "bf16") == -(1 + 2.0**-7)
    assert rounded_number(1e300, "bf16") == np.inf and rounded_number(2.0**-133, "bf16") == 2.0**-133


def test_a_capsule_is_used_once():
    capsule = ROW.__dlpack__()
    assert numbers(capsule) == ROW.tolist()
    with pytest.raises(lf.UsageError, match="used already"):
        numbers(capsule)


class Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p), ("byte_offset", ctypes.c_uint64), ("manager", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
    ]  # fmt: skip


KEPT = []


def capsule_of(name=b"dltensor", shape=(2, 4), strides=None, **fields):
    """A capsule with any description; its memory is ROW."""
    memory = (ctypes.c_float * 8)(*ROW.reshape(-1))
    shape_array = (ctypes.c_int64 * max(1, len(shape)))(*shape)
    strides_array = (ctypes.c_int64 * max(1, len(shape)))(*strides) if strides else None
    tensor = Tensor(ctypes.addressof(memory), 1, 0, len(shape), 2, 32, 1, ctypes.addressof(shape_array), None, 0, None, None)
    if strides_array:
        tensor.strides = ctypes.addressof(strides_array)
    for field, value in fields.items():
        setattr(tensor, field, value)
    KEPT.append((memory, shape_array, strides_array, tensor, name))
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(ctypes.addressof(tensor), KEPT[-1][4], None)


def test_descriptions_of_memory_that_are_right():
    assert numbers(capsule_of()) == ROW.tolist()
    assert numbers(capsule_of(strides=(4, 1))) == ROW.tolist()
    assert numbers(capsule_of(shape=(2, 2), strides=(4, 0))) == [[1, 1], [5, 5]]
    assert numbers(capsule_of(shape=(3,), strides=(-1,), byte_offset=8)) == [3, 2, 1]
    assert numbers(capsule_of(shape=(0, 5), data=None)) == []
    assert numbers(capsule_of(shape=())) == 1.0


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"name": b"dltensor2"}, "none of DLPack's"),
        ({"name": b"used_dltensor"}, "used already"),
        ({"code": 5, "bits": 64}, "kind 5"),
        ({"bits": 8}, "8 bits"),
        ({"lanes": 4}, "4 lanes"),
        ({"device_type": 2}, "device 2"),
        ({"ndim": -1}, "-1 dimensions"),
        ({"ndim": 1 << 30}, "dimensions"),
        ({"shape": (-1, 4)}, "dimension of -1"),
        ({"shape": (1 << 40, 1 << 40)}, "larger than the memory"),
        ({"shape": (1 << 61, 2)}, "larger than the memory"),
        ({"strides": (1 << 62, 1)}, "strides of"),
        ({"shape": (2, 2), "strides": (1 << 60, 1 << 60)}, "strides of"),
        ({"data": None}, "no memory"),
        ({"name": b"dltensor_versioned", "data": 9}, "version 9"),
    ],
)
def test_descriptions_of_memory_that_cannot_be(description, words):
    with pytest.raises(lf.UsageError, match=words) as caught:
        numbers(capsule_of(**description))
    assert "\n" not in str(caught.value)


def test_random_descriptions_never_end_the_process():
    """What is refused is refused in a line; what is read lies within the memory."""
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(3000):
        shape = tuple(int(n) for n in random.integers(-1, 3, random.integers(0, 4)))
        fields = {
            "code": int(random.choice([0, 1, 2, 2, 2, 3, 4, 6])), "bits": int(random.choice([1, 8, 16, 32, 32, 64])),
            "lanes": int(random.choice([1, 1, 1, 2])), "device_type": int(random.choice([1, 1, 1, 2, 13, -4])),
        }  # fmt: skip
        strides = tuple(int(s) for s in random.choice([0, 1], len(shape))) or None
        try:
            numbers(capsule_of(shape=shape, strides=strides, **fields))
        except lf.UsageError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 500 < refused < 2990, refused


class OnDevice:
    """A tensor of a GPU with one way to the host."""

    def __init__(self, **ways):
        self.__dict__.update(ways)

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **options):
        raise BufferError("not on the host")


def test_tensors_of_devices_are_copied():
    assert numbers(OnDevice(cpu=lambda: Foreign(ROW))) == ROW.tolist()
    assert numbers(OnDevice(get=lambda: ROW)) == ROW.tolist()
    with pytest.raises(lf.UsageError):
        numbers(OnDevice())


def test_objects_that_raise_are_one_line():
    class Bad:
        def __array__(self, *_, **__):
            raise RuntimeError("first\nsecond")

    with pytest.raises(lf.UsageError, match="RuntimeError: first second"):
        numbers(Bad())
