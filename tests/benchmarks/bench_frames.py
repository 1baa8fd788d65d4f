"""How well overlapping frames agree on where the same ground lies, each placed by its own EXIF and XMP alone.

``python -m tests.benchmarks.bench_frames [FOLDER]``

Features are matched between each pair of frames; both ends of a match are put on the ground through the frame's own grid. The
distance between them is the disagreement. It is also told for other ways of placing the frames, which is how the yaw and the
source of the focal length were chosen: what each pair of frames says itself of its yaw (by the line between the two
positions) and of its ground sample distance (by its length) stands beside.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from spurgekit.imagery import PixelGrid, Window, open_raster
from spurgekit.imagery.cameras import FILM_DIAGONAL_MM
from spurgekit.imagery.nadir_frame import FramePose, frame_grid
from spurgekit.imagery.xmp import DroneXmp, read_xmp

FEATURES = 4000
RATIO = 0.75
"""A match counts if its distance is below this share of that to the second best (Lowe 2004, section 7.1; there 0.8)."""
RANSAC_PX = 6.0
LEAST_MATCHES = 30

Points = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Frame:
    """A frame with its features."""

    name: str
    pose: FramePose
    xmp: DroneXmp
    size_px: tuple[int, int]
    points: Points
    descriptors: np.ndarray[Any, np.dtype[np.float32]]

    def grid(self, **change: float) -> PixelGrid:
        """Return the approximate grid, of the pose or of one that differs."""
        return frame_grid(self.pose.model_copy(update=change), *self.size_px)


def load(path: Path) -> Frame:
    """Read a frame and find its features, at half the resolution for speed."""
    with open_raster(path) as raster:
        pixels, _ = raster.read(Window(0, 0, raster.grid.width, raster.grid.height))
        pose, size = raster.pose, (raster.grid.width, raster.grid.height)
    xmp = read_xmp(path)
    assert pose is not None, f"{path} was not placed"
    assert xmp is not None
    grey = cv2.cvtColor(np.moveaxis(pixels, 0, -1).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    keypoints, descriptors = cv2.SIFT.create(FEATURES).detectAndCompute(half, None)
    # OpenCV counts from the centre of the first pixel.
    points = (np.array([keypoint.pt for keypoint in keypoints]) + 0.5) * 2
    return Frame(path.stem, pose, xmp, size, points, np.sqrt(descriptors / descriptors.sum(axis=1, keepdims=True)))


def match(one: Frame, other: Frame) -> tuple[Points, Points] | None:
    """Return the pixels of the same ground in two frames, each of shape (matches, 2), or None if they hardly overlap."""
    pairs = cv2.BFMatcher().knnMatch(one.descriptors, other.descriptors, k=2)
    good = [first for first, second in pairs if first.distance < RATIO * second.distance]
    if len(good) < LEAST_MATCHES:
        return None
    ours, theirs = one.points[[m.queryIdx for m in good]], other.points[[m.trainIdx for m in good]]
    cv2.setRNGSeed(0)
    _, agree = cv2.findHomography(ours, theirs, cv2.RANSAC, RANSAC_PX)
    inliers = agree.ravel() > 0
    return (ours[inliers], theirs[inliers]) if inliers.sum() >= LEAST_MATCHES else None


def disagreement_m(one: PixelGrid, other: PixelGrid, ours: Points, theirs: Points) -> Points:
    """Return how far apart on the ground two grids put the same points."""
    x, y = one.to_world(*ours.T)
    there_x, there_y = other.to_world(*theirs.T)
    return np.hypot(x - there_x, y - there_y)


def observe(one: Frame, other: Frame, ours: Points, theirs: Points) -> tuple[float, float]:
    """Return the yaw of the second frame and its ground sample distance in metres, by the positions of the two cameras."""
    similarity, _ = cv2.estimateAffinePartial2D(ours, theirs, ransacReprojThreshold=20)
    centre = np.array([other.size_px[0] / 2, other.size_px[1] / 2])
    step_px = similarity @ [*centre, 1] - centre
    north_up = {"yaw_deg": 0.0, "pitch_deg": -90.0}
    from_xy, to_xy = (np.ravel(frame.grid(**north_up).to_world(*centre)) for frame in (other, one))
    step_m = to_xy - from_xy
    # Of the UTM grid: true north is where the north-up frame's columns run.
    columns = other.grid(**north_up).transform
    to_north = np.degrees(np.arctan2(-columns.b, -columns.e))
    yaw = np.degrees(np.arctan2(*step_m) - np.arctan2(step_px[0], -step_px[1])) - to_north
    return float(yaw % 360), float(np.hypot(*step_m) / np.hypot(*step_px))


WAYS: dict[str, Callable[[Frame], dict[str, float]]] = {
    "as placed": lambda _: {},
    "by the aircraft's yaw": lambda frame: {"yaw_deg": frame.xmp.flight_yaw_deg or 0.0},
    "by the gimbal's yaw": lambda frame: {"yaw_deg": frame.xmp.gimbal_yaw_deg or 0.0},
    "no yaw": lambda _: {"yaw_deg": 0.0},
    "35 mm eq. of a 4:3 sensor": lambda frame: _gsd(frame, 3 / 4),
    "35 mm eq. of the frame": lambda frame: _gsd(frame, frame.size_px[1] / frame.size_px[0]),
}


def _gsd(frame: Frame, ratio: float, equivalent_mm: float = 20.0) -> dict[str, float]:
    """Return the ground sample distance by the FC300S's 35 mm equivalent focal length, for a sensor of these sides."""
    focal_px = equivalent_mm / FILM_DIAGONAL_MM * frame.size_px[0] * np.hypot(1, ratio)
    return {"gsd_m": (frame.pose.altitude_m or 0.0) / focal_px, "focal_px": focal_px}


def main() -> None:
    """Print a line for each pair of frames and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("SPURGEKIT_DATA", "../shared/data")) / "brighton"
    parser.add_argument("folder", type=Path, nargs="?", default=default)
    folder = parser.parse_args().folder
    frames = [load(path) for path in sorted(folder.glob("*.JPG"))]
    medians: dict[str, list[float]] = {way: [] for way in WAYS}
    everything: dict[str, list[Points]] = {way: [] for way in WAYS}
    yaws: list[tuple[float, float]] = []
    print("pair                 matches  median  95 %    yaw seen  gimbal  aircraft  GSD seen  placed")
    for one, other in itertools.combinations(frames, 2):
        if (matches := match(one, other)) is None:
            continue
        for way, change in WAYS.items():
            apart = disagreement_m(one.grid(**change(one)), other.grid(**change(other)), *matches)
            medians[way].append(float(np.median(apart)))
            everything[way].append(apart)
        apart = everything["as placed"][-1]
        yaw, gsd_m = observe(one, other, *matches)
        gimbal, aircraft = other.xmp.gimbal_yaw_deg or 0.0, other.xmp.flight_yaw_deg or 0.0
        yaws.append(((gimbal - yaw + 180) % 360 - 180, (aircraft - yaw + 180) % 360 - 180))
        print(
            f"{one.name} {other.name}  {len(apart):7}  {np.median(apart):5.2f} m {np.quantile(apart, 0.95):5.2f} m "
            f"{yaw:7.1f}° {gimbal:6.1f}°  {aircraft:6.1f}°   {100 * gsd_m:5.2f} cm  {100 * other.pose.gsd_m:.2f} cm"
        )
    print()
    for way in WAYS:
        apart = np.concatenate(everything[way])
        print(
            f"{way:<26} median {np.median(apart):5.2f} m, 95 % {np.quantile(apart, 0.95):5.2f} m, "
            f"median of the pairs' {np.median(medians[way]):5.2f} m, worst pair {max(medians[way]):5.2f} m"
        )
    off = np.array(yaws)
    for name, error in zip(("gimbal", "aircraft"), off.T, strict=True):
        print(f"yaw by the {name}: off by {error.mean():+.1f}° on average, {error.std():.1f}° around that")


if __name__ == "__main__":
    main()
