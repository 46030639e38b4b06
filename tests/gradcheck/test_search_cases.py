"""Mistakes as people write them, one for each kind of search: the first cause has the line and the mistake."""

import pathlib
import sys

import pytest

from functional_nets import gradcheck

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts"))

from gradcheck_cases.collection import CASES

WRITTEN = {
    "batchnorm/gamma_summed_over_features": "another shape, by the axes that were summed over",
    "elastic_net/column_minus_row": "another shape that nothing explains",
    "ng_columns/product_the_other_way_round": "the data's part alone is transposed",
    "recommender/ratings_sorted_apart": "examples in another order than their labels",
    "min_char_rnn/slope_skipped_on_the_way_back": "a slope passed over between the steps",
    "elastic_net/root_mean_square": "a root of the whole loss",
    "policy_and_value/critic_error_clipped": "another loss of the same prediction and target",
    "micrograd/tanh_without_the_chain_rule": "an upstream gradient that is ignored is no other loss",
    "triplet_margin/lengths_taken_as_constant": "the same at each call of a normalisation",
    "distillation/alpha_the_other_way_round": "two constants exchanged",
    "gelu_block/dout_overwritten_in_place": "one branch written over the other's array",
    "graph_net/adjacency_not_transposed": "beside ties that are decided otherwise",
    "hetero_nll/loss_has_the_constant": "a likelihood's constant",
}


@pytest.mark.parametrize("case_id", WRITTEN, ids=lambda case_id: f"{WRITTEN[case_id]} ({case_id})")
def test_the_first_cause_has_the_line_and_the_mistake(case_id):
    case = CASES[case_id]
    report = case.report(gradcheck)
    assert not report.ok
    first = report.causes[0]
    assert first.mistake in case.mistakes
    if case.lines():
        assert (str(pathlib.Path(first.file).resolve()), first.line) in {(f, n) for f, n in case.lines()}
