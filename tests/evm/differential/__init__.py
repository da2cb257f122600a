"""The same random steps on the contracts and on l2liq's Pool, compared after each."""
