"""How long the planner was at work at most, ever and lately."""

from nsplane import Engine
from nsplane.world.longest import Longest


def test_the_longest_of_a_minute_is_told_for_two() -> None:
    longest = Longest()
    longest.note(1000.0, 1003.0)
    longest.note(1010.0, 1011.0)
    assert (longest.ever, longest.lately(1011.0)) == (3.0, 3.0)
    assert longest.lately(1062.0) == 3.0
    longest.note(1064.0, 1064.5)
    assert longest.lately(1065.0) == 3.0
    assert (longest.ever, longest.lately(1125.0)) == (3.0, 0.5)
    assert (longest.ever, longest.lately(5000.0)) == (3.0, 0.0)


def test_info_tells_of_turns_and_holds(engine: Engine) -> None:
    engine.process()
    info = engine.info()
    for what, name in (("planner", "longest_turn"), ("writer", "longest_hold")):
        times = info[what]
        assert isinstance(times, dict)
        assert 0 < times[f"{name}_lately"] == times[name] < 60
