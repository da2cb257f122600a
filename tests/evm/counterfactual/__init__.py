"""The market lived once more under other parameters: by the contracts in a node, and by l2liq."""
