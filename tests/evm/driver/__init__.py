"""Seeded activity on a deployed market. What happened is only in the contracts; nothing here is told to l2liq."""
