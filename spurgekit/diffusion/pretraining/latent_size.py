"""What the latents of Stable Diffusion are like, which pipelines of diffusers reckon with."""

CHANNELS = 4
LATENT_PX = 8
"""Pixels that a latent stands for, a side; of the VAEs of Stable Diffusion 1.x, 2.x and SDXL."""
