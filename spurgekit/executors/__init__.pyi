from .workers import Workers, check_serves, open_workers

__all__ = ["Workers", "check_serves", "open_workers"]
