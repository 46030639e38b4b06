"""Changes of the rules that change nothing, and why: no test can catch them."""

_REASONS: dict[str, tuple[str, ...]] = {
    "a tie is answered before": ("larger: a > b → a >= b",),
    "the branch is not taken; it is there for second derivatives, which would meet 0 · ∞": (
        "power_of_base: zero_to_one(b) → b",
    ),
    "the output lies between the bounds where the input does, and only there": (
        "clamp: x → y",
        "relu: x → y",
        "relu6: x → y",
    ),
    "only the sign of a zero changes": (
        "real: g + 0j → g - 0j",
        "convert_element_type: g + 0j → g - 0j",
        "conj: np.conj(z) + 0j → np.conj(z) - 0j",
    ),
    "a real number is its real part; left alone, a tape need not record it": (
        "convert_element_type: np.real(g) if y.dtype.kind == 'c' else g → np.real(g)",
    ),
    "the operations that are accumulated commute": ("scan: combine(a, b) → combine(b, a)",),
    "a step of two takes one element of the first two as of the first": (
        "scan: 1 → 2",
        "scan: slice(0, 1) → 0",
    ),
    "input and output have one shape": (
        "scan: x.shape → y.shape",
        "select_and_scatter_add: x.shape → y.shape",
        "dynamic_update_slice: x.shape → y.shape",
        "scatter: x.shape → y.shape",
        "scatter_added: x.shape → y.shape",
        "scatter_subtracted: x.shape → y.shape",
        "scatter_multiplied: x.shape → y.shape",
        "scatter_extreme: x.shape → y.shape",
    ),
    "the operands and the result have one type": (
        "sign: x.dtype → y.dtype",
        "divide: a.dtype → b.dtype",
        "shift_right_logical: a.dtype → b.dtype",
        "shift_right_arithmetic: a.dtype → b.dtype",
    ),
    "the gradient of an integer is dropped in `backward`; the cotangent may be no array, though": (
        "sort: None if x.dtype.kind in 'biu' else scatter_add(each, index=index, shape=x.shape) → "
        "scatter_add(each, index=index, shape=x.shape)",
    ),
    "a sign times ±1 is a sign divided by it": ("divide: np.sign(a) * np.sign(b) → np.sign(a) / np.sign(b)",),
    "the lowest integer is itself, cut or not": ("nearest: x <= low → x < low",),
    "slice(1, 0) is as empty as slice(0, 0)": ("taps: 0 → 1", "padded: 0 → 1"),
    "zero is never above the last place": ("_places: np.clip(start, 0, last) → np.clip(0, start, last)",),
    "what is read is the same; sparse indices only take less room": (
        "iota: np.indices(shape, sparse=True) → np.indices(shape)",
        "iota: True → False",
        "along_axis: np.indices(order.shape, sparse=True) → np.indices(order.shape)",
        "along_axis: True → False",
    ),
    "the place -1 is the last one, however many there are": ("gather_flat: 1 → 2", "scatter_flat: 1 → 2"),
}

EQUIVALENT: dict[str, str] = {change: reason for reason, changes in _REASONS.items() for change in changes}
