"""A study that takes a moment to compute."""

SMALL = """
title = "A small study"
env = "CartPole-v1"
steps = 600
seeds = 4
seeds_per_block = 2
network = { hidden = [8] }
evaluation_episodes = 3
keep_policies = true

[variants.plain]
algorithm = "reinforce"
envs = 4
baseline = "none"

[variants.critic]
algorithm = "a2c"
envs = 4
"""
