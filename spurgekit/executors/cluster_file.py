"""A file that describes a Dask cluster, in the words of its class: what it is made with, and how many workers it is to have.

.. code-block:: toml

    cluster = "dask_jobqueue.SLURMCluster"
    wait_s = 3600

    [arguments]
    cores = 16
    processes = 16
    memory = "64GB"
    walltime = "04:00:00"

    [scale]
    jobs = 8

``[scale]`` is what ``cluster.scale`` takes, ``[adapt]``, in its place, what ``cluster.adapt`` does.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spurgekit.errors import InputError, first_line, known_names
from spurgekit.reading import read_toml
from spurgekit.text import shown

if TYPE_CHECKING:
    from distributed.deploy.cluster import Cluster

TABLES = ("arguments", "scale", "adapt")
ENTRIES = ("cluster", "wait_s", *TABLES)
WAIT_S = 600.0
EXAMPLE = "distributed.LocalCluster or dask_jobqueue.SLURMCluster"


@dataclass(frozen=True, slots=True)
class ClusterFile:
    """What a file says of a cluster.

    Attributes
    ----------
    path : pathlib.Path
    cluster : str
        Its class, with the module that it is in.
    arguments, scale, adapt : mapping
        Keyword arguments of the class, and of its methods of these names.
    wait_s : float
        Seconds to wait for the first worker.
    """

    path: Path
    cluster: str
    arguments: Mapping[str, Any]
    scale: Mapping[str, Any]
    adapt: Mapping[str, Any]
    wait_s: float

    @classmethod
    def read(cls, path: Path) -> ClusterFile:
        """Read a file.

        Raises
        ------
        InputError
            If it is missing, is not TOML, or says what it cannot.
        """
        entries = read_toml(path, "pass the file of a cluster as `executor`")
        for name in entries:
            if name not in ENTRIES:
                raise InputError(f"{path}: {name}: there is no such entry{known_names(name, ENTRIES)}")
        for name in TABLES:
            if not isinstance(entries.setdefault(name, {}), Mapping):
                raise InputError(f"{path}: {name}: this is a table, [{name}], not {shown(entries[name])}")
        cluster, wait_s = entries.get("cluster"), entries.get("wait_s", WAIT_S)
        if not isinstance(cluster, str) or not all(part.isidentifier() for part in cluster.split(".")) or "." not in cluster:
            raise InputError(f"{path}: cluster: name the class of a Dask cluster, such as {EXAMPLE}")
        if isinstance(wait_s, bool) or not isinstance(wait_s, int | float) or not (isfinite(wait_s) and wait_s > 0):
            raise InputError(f"{path}: wait_s: {shown(wait_s)} is no number of seconds")
        if entries["scale"] and entries["adapt"]:
            raise InputError(f"{path}: a cluster has a size, [scale], or finds one, [adapt]; drop one of them")
        return cls(path, cluster, entries["arguments"], entries["scale"], entries["adapt"], float(wait_s))

    @contextmanager
    def begun(self) -> Iterator[Cluster]:
        """Yield the cluster; its workers are ended with the block.

        Raises
        ------
        InputError
            If the class is not there, or does not take what the file says.
        """
        kind = self.find_class()
        try:
            cluster = kind(**self.arguments)
        except Exception as error:  # whatever that class raises
            raise InputError(f"{self.path}: {self.cluster} does not begin: {first_line(error)}") from error
        with cluster:
            for method in ("scale", "adapt"):
                if wanted := getattr(self, method):
                    try:
                        getattr(cluster, method)(**wanted)
                    except Exception as error:  # whatever that class raises
                        raise InputError(f"{self.path}: {method}: {first_line(error)}") from error
            yield cluster

    def find_class(self) -> type[Cluster]:
        """Return the class that it names.

        Raises
        ------
        InputError
            If it is not there.
        """
        from distributed.deploy.cluster import Cluster

        module, _, name = self.cluster.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError as error:
            top = module.partition(".")[0].replace("_", "-")
            raise InputError(f"{self.path}: cluster: {first_line(error)}; pip install {top}") from error
        if not (isinstance(found, type) and issubclass(found, Cluster)):
            raise InputError(f"{self.path}: cluster: {self.cluster} is no class of a Dask cluster; pass {EXAMPLE}")
        return found
