"""Can a lookup memory help an autoregressive model of continuous audio latents?"""
