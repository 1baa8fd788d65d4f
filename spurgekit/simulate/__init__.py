"""Made-up surveys whose truth is known to the pixel, for the demo and for tests."""

from spurgekit.simulate.site import SimulatedSite, simulate_site

__all__ = ["SimulatedSite", "simulate_site"]
