from .workers import Workers, open_workers

__all__ = ["Workers", "open_workers"]
