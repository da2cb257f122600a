"""Deployments by protocol, and in ``chains`` the chains they are on: data, read by :mod:`l2liq.chains.markets`."""
