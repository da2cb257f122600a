"""Chains and deployments that are known by name: data, no code. Read through :mod:`l2liq.chains.markets`."""
