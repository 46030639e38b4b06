"""Primitives that pass no gradient on: flat almost everywhere, made of integers, or meant as constants."""

from functional_nets.backprop.rules.table import no_gradient

no_gradient("eq", "ne", "lt", "le", "gt", "ge", "eq_to", "le_to", "lt_to", "is_finite")
no_gradient("and", "or", "xor", "not", "shift_left", "shift_right_logical", "shift_right_arithmetic")
no_gradient("population_count", "clz", "mulhi", "bitcast_convert_type", "nextafter")
no_gradient("floor", "ceil", "round", "iota", "stop_gradient")
no_gradient("argmax", "argmin", "reduce_and", "reduce_or", "reduce_xor")
no_gradient("random_seed", "random_bits", "random_split", "random_fold_in", "random_wrap", "random_unwrap")
no_gradient("random_clone", "threefry2x32", "rng_bit_generator", "rng_uniform")
