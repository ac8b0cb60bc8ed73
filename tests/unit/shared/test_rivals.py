"""Two processes under one instance name are told."""

from shared.kafka.rivals import TOO_MANY, WITHIN_S, Rivals


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def given_out(rivals: Rivals, watch: Watch, times: int, every_s: float) -> str | None:
    for _ in range(times):
        watch.now += every_s
        rivals.note_assignment()
    return rivals.problem()


def test_partitions_that_go_to_and_fro_all_the_time_name_the_instance() -> None:
    watch = Watch()
    rivals = Rivals("kizashi-scoring", "a", watch)
    assert given_out(rivals, watch, TOO_MANY - 1, 1.0) is None
    problem = given_out(rivals, watch, 1, 1.0)
    assert problem is not None
    assert "instance name a" in problem
    watch.now += WITHIN_S
    assert rivals.problem() is None


def test_a_group_that_is_restarted_one_by_one_and_a_member_without_a_name_have_no_rivals() -> None:
    watch = Watch()
    assert given_out(Rivals("kizashi-scoring", "a", watch), watch, TOO_MANY, WITHIN_S / 2) is None
    assert given_out(Rivals("kizashi-scoring", None, watch), watch, TOO_MANY, 0.1) is None
