"""Ground markers: families of them, how they are found in an image, and images placed by markers of known coordinates."""

from spurgekit.markers.marker import Marker, MarkerDetector

__all__ = ["Marker", "MarkerDetector"]
