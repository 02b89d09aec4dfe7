"""The explanation of rules on a recording."""

from emotion2vec_edge.engine.alerts.explain import Explanation
from emotion2vec_edge.engine.alerts.rules import Rule, Watch
from emotion2vec_edge.engine.streaming.stream import StreamWindow


def test_what_fired_when_and_why():
    rule = Rule("upset", ("angry",), 0.6, 0.4, 1.0, 0.5, 10.0)
    other = Rule("delight", ("happy",), 0.9, 0.5)
    watch = Watch([rule, other], ["angry", "happy"])
    explanation = Explanation(watch.states)
    for number, angry in enumerate([0.7, 0.5, 0.7, 0.8, 0.9, 0.3, 0.5, 0.3, 0.2, 0.9, 0.9, 0.9]):
        end = 0.5 * (number + 1)
        scores = {"angry": angry, "happy": 1 - angry}
        window = StreamWindow(
            end - 0.5, end, "angry", angry, scores, silent=False, skipped=0, latency=0.0
        )
        explanation.add(window, list(watch.feed(window)))
    explanation.add_steps(list(watch.end(6.0)))
    assert explanation.text().splitlines() == [
        "upset: an alert starts at angry ≥ 60% for 1.00 s, and ends below 40% for 0.50 s; then none for 10.0 s",
        "       0.5 s   70%  reached 60%",
        "       1.0 s   50%  below 60% after 0.50 s of 1.00 s",
        "       1.5 s   70%  reached 60%",
        "       2.5 s   90%  ALERT upset at 2.5 s: angry 90%",
        "       3.0 s   30%  below 40%",
        "       3.5 s   50%  back after 0.50 s of 0.50 s: the alert goes on",
        "       4.0 s   30%  below 40%",
        "       4.5 s   20%  end of upset at 4.5 s (left), after 2.00 s, peak 90%",
        "       5.0 s   90%  reached 60%",
        "       6.0 s   90%  no alert: within 10.0 s after the last one",
        "  → 1 alert, 2.00 s in all; highest level 90% in 12 windows",
        "delight: an alert starts at happy ≥ 90%, and ends below 50%",
        "  → 0 alerts, 0.00 s in all; highest level 80% in 12 windows",
    ]
