"""Generation: does a lookup memory help an autoregressive generator of latents at equal work?"""
