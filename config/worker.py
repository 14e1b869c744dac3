"""One of several processes that serve: `config.crew` starts this module as a program, and writes orders to its input."""

from config.signals import leave_at_signals


def main() -> None:
    leave_at_signals(lambda _: 0)
    import sys  # noqa: PLC0415  # after signals are handled, here and below

    from config.quick_imports import quick_imports  # noqa: PLC0415

    with quick_imports():
        from config.crew import Orders  # noqa: PLC0415
        from config.start import work  # noqa: PLC0415

    work(Orders.read(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
