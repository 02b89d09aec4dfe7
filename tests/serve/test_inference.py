"""One thread for the model: who gets it next, and who does not any more."""

import threading
import time

import numpy as np
import pytest
import serving

from emotion2vec_edge.engine.errors import (
    OptionError,
    OverloadedError,
    TimeBudgetError,
    WithdrawnError,
)
from emotion2vec_edge.engine.serve import inference
from emotion2vec_edge.engine.serve.inference import InferenceThread, Priority, Work, shared


@pytest.fixture
def thread():
    with InferenceThread() as one:
        yield one


def in_thread(function):
    """A started thread, and the list that gets its result or error."""
    results = []

    def run():
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001 - looked at by the test
            results.append(error)

    started = threading.Thread(target=run)
    started.start()
    return started, results


def busy(thread):
    """Keep the inference thread busy until the event is set."""
    begun, release = threading.Event(), threading.Event()
    holder, _ = in_thread(
        lambda: thread.run(Work(Priority.LIVE), lambda: (begun.set(), release.wait(30)))
    )
    assert begun.wait(10)
    return holder, release


def test_live_audio_is_first_then_requests_then_jobs(thread):
    holder, release = busy(thread)
    order = []
    threads = [holder]
    for priority in (Priority.JOB, Priority.REQUEST, Priority.LIVE, Priority.REQUEST):
        waiting = thread.depth
        threads.append(
            in_thread(lambda p=priority: thread.run(Work(p), lambda: order.append(p)))[0]
        )
        serving.until(lambda waiting=waiting: thread.depth > waiting)
    release.set()
    for one in threads:
        one.join()
    assert order == [Priority.LIVE, Priority.REQUEST, Priority.REQUEST, Priority.JOB]


def test_all_steps_run_in_one_thread(thread):
    names = [thread.run(Work(Priority.REQUEST), threading.get_ident) for _ in range(3)]
    assert len(set(names)) == 1
    assert names[0] != threading.get_ident()


def test_an_error_comes_back_and_the_thread_goes_on(thread):
    with pytest.raises(ZeroDivisionError):
        thread.run(Work(Priority.REQUEST), lambda: 1 / 0)
    assert thread.run(Work(Priority.REQUEST), lambda: 5) == 5


def test_work_that_was_withdrawn_while_it_waited_is_not_done(thread):
    holder, release = busy(thread)
    work, done = Work(Priority.REQUEST), []
    waiter, results = in_thread(lambda: thread.run(work, lambda: done.append(1)))
    serving.until(lambda: thread.depth)
    work.withdraw()
    release.set()
    waiter.join()
    holder.join()
    assert isinstance(results[0], WithdrawnError)
    assert not done


def test_what_waits_at_the_end_is_refused():
    thread = InferenceThread()
    holder, release = busy(thread)
    waiter, results = in_thread(lambda: thread.run(Work(Priority.JOB), lambda: 1))
    serving.until(lambda: thread.depth)
    closer, _ = in_thread(thread.close)
    release.set()
    for one in (holder, waiter, closer):
        one.join()
    assert isinstance(results[0], OverloadedError)
    with pytest.raises(OverloadedError):
        thread.run(Work(Priority.LIVE), lambda: 1)
    thread.close()


def test_a_budget_grows_with_the_audio(monkeypatch):
    monkeypatch.setattr(inference, "BUDGET_SECONDS", 1.0)
    work = Work(Priority.REQUEST, arrived=time.monotonic() - 5)
    with pytest.raises(TimeBudgetError, match="1 s"):
        work.check()
    work.progress("encoding", 0.0, 100.0)
    with pytest.raises(TimeBudgetError, match="2 s"):
        work.progress("encoding", 1.0, 1.0)
    Work(Priority.JOB, budget=False, arrived=0.0).check()


def test_a_shared_recognizer_gives_the_same(thread, recognizer, example):
    work = Work(Priority.REQUEST)
    own = shared(recognizer, thread, work)
    assert own.recognize(example).scores == recognizer.recognize(example).scores
    assert work.inference_seconds > 0
    windows = [window.scores for window in own.stream([np.zeros(48_000, "f4")])]
    assert windows == [w.scores for w in recognizer.stream([np.zeros(48_000, "f4")])]


def test_labels_of_one_request(thread, recognizer, example):
    chosen = ["sad", "angry"]
    own = shared(recognizer, thread, Work(Priority.REQUEST), labels=chosen, reject_below=0.99)
    assert own.labels == ("angry", "sad")
    logits = recognizer.encode(example).logits.mean(axis=0)
    kept = logits[[recognizer.labels.index(label) for label in own.labels]]
    expected = np.exp(kept - kept.max()) / np.exp(kept - kept.max()).sum()
    utterance = own.recognize(example)
    assert np.allclose(list(utterance.scores.values()), expected, atol=1e-5)
    assert utterance.restricted
    again = shared(own, thread, Work(Priority.REQUEST), labels=["sad", "angry"])
    assert again.labels == ("angry", "sad")
    with pytest.raises(OptionError, match="happy"):
        shared(own, thread, Work(Priority.REQUEST), labels=["sad", "happy"])
