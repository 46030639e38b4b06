"""Wrong and right gradients as people write them: what the gradient check is measured against."""
