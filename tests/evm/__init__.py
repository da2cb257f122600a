"""Truth: the protocols' own contracts in a real node, for comparison with what l2liq computes."""
