"""Tensor worlds: dynamics as torch expressions over [seed, env, state]."""
